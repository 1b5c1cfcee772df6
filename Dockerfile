FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/relay \
    && /opt/relay/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
# The tools that build the package come from a lock too; they stay in this stage.
RUN pip install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY relay ./relay
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/relay/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim
# A fixed number, so that a volume made by one image is readable by the next.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/relay --create-home relay
COPY --from=build /opt/relay /opt/relay
ENV PATH=/opt/relay/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RELAY_HOST=0.0.0.0 \
    RELAY_STORE_URL=sqlite:////var/lib/relay/relay.db
# By its number, so that an orchestrator sees that it is not root.
USER 10001:10001
WORKDIR /var/lib/relay
VOLUME /var/lib/relay
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/healthz' % os.environ.get('RELAY_PORT', '3000'), timeout=4)"]
# The relay stops by itself within ten seconds of SIGTERM and keeps what it has not sent.
STOPSIGNAL SIGTERM
ENTRYPOINT ["relay"]
CMD ["serve"]
