// Writes the JSON schema of what relay posts to Slack, from the types that Slack publishes.
// Usage: node generate.mjs OUTPUT
import { writeFileSync } from 'node:fs';
import { createGenerator } from 'ts-json-schema-generator';

// Slack states its limits in prose only, in the description of a property.
const LONGEST = /(?:max(?:imum)? length|limit)[^.]*?(\d[\d,]*)\s+characters/i;
const SHORTEST = /minimum length[^.]*?(\d+)/i;
const MOST = /(?:max(?:imum)?(?: number of [a-z ]+? is| of)?|up to) (\d+)/i;
const FEWEST = /minimum (\d+)/i;

const found = (pattern, text) => {
  const match = pattern.exec(text);
  return match ? Number(match[1].replaceAll(',', '')) : undefined;
};

const present = (limits) => Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));

// `maxLength` counts the string, and Slack's limit on a text object counts the `text` in it.
function limitText(schema, limits) {
  if (Object.keys(limits).length === 0) return schema;
  if (schema.type === 'string') return { ...schema, ...limits };
  const inside = { properties: { text: limits } };
  return { allOf: [schema, inside] };
}

function limitArray(schema, prose) {
  const limits = present({ maxItems: found(MOST, prose), minItems: found(FEWEST, prose) });
  const texts = present({ maxLength: found(LONGEST, prose) });
  return { ...schema, ...limits, items: limitText(schema.items, texts) };
}

function limited(schema, prose) {
  if (schema.type === 'array') return limitArray(schema, prose);
  return limitText(schema, present({ maxLength: found(LONGEST, prose), minLength: found(SHORTEST, prose) }));
}

// Descriptions are most of the size and check nothing: each goes once its limits are taken.
function carried(node) {
  if (Array.isArray(node)) return node.map(carried);
  if (node === null || typeof node !== 'object') return node;
  const { description, ...rest } = node;
  const prose = typeof description === 'string' ? description.replace(/\s+/g, ' ') : undefined;
  const inner = Object.fromEntries(
    Object.entries(rest).map(([key, child]) => [key, key === 'properties' ? properties(child) : carried(child)]),
  );
  return prose === undefined ? inner : limited(inner, prose);
}

// A property may itself be called `description`, so names are told apart from keywords here.
function properties(named) {
  return Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, carried(schema)]));
}

const schema = createGenerator({ path: 'bodies.ts', tsconfig: 'tsconfig.json', type: 'Bodies', sortProps: true }).createSchema(
  'Bodies',
);
// A definition's own description tells of the type, whose limits stand at its properties.
const definitions = Object.fromEntries(
  Object.entries(schema.definitions).map(([name, { description, ...definition }]) => [name, carried(definition)]),
);
const comment = 'Generated from npm @slack/types (MIT, Slack Technologies) by tools/slack_types_schema; do not edit.';

// One definition a line: small, and a new version of the types still shows what it changed.
const lines = Object.entries(definitions).map(([name, definition]) => `${JSON.stringify(name)}: ${JSON.stringify(definition)}`);
const head = JSON.stringify({ $comment: comment, $schema: schema.$schema, $ref: schema.$ref }).slice(0, -1);
writeFileSync(process.argv[2], `${head},\n"definitions": {\n${lines.join(',\n')}\n}}\n`);
