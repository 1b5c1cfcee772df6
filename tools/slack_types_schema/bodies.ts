// What relay puts into a request to Slack. The published `AnyBlock` also admits any object that has
// a `type`, so that nothing would ever be wrong; here only the blocks that Slack documents count.
import type { HomeView, KnownBlock, ModalView } from '@slack/types';

export interface Modal extends Omit<ModalView, 'blocks'> {
  /** @description Max of 100 blocks. */
  blocks: KnownBlock[];
}

export interface Home extends Omit<HomeView, 'blocks'> {
  /** @description Max of 100 blocks. */
  blocks: KnownBlock[];
}

export interface Bodies {
  /** @description Max of 50 blocks. */
  message: KnownBlock[];
  modal: Modal;
  home: Home;
}
