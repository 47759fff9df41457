/** What the user looks at within a session: window, selection, filter, folded processes. */
import { untrack } from 'svelte';
import { isExpression, problemOf } from '../lib/expression.ts';
import { compileFilter, filterByIds, parseSources } from '../lib/filter.ts';
import { layOutLanes } from '../lib/lanes.ts';
import type { ProcessNode } from '../lib/process-table.ts';
import { ROW_SOURCES, type Row, type RowSource } from '../lib/row.ts';
import { type Span, clampTo, fit, pan, zoom } from '../lib/time-scale.ts';
import type { Selection, UrlState } from '../lib/url-state.ts';
import type { SessionModel } from './session.svelte.ts';
import { WhereSearch } from './where-search.svelte.ts';

/** While following, the window grows with the session up to this, then slides. */
const FOLLOW_LONGEST_NS = 5 * 60e9;
const FOLLOW_SHORTEST_NS = 10e9;

export class Workspace {
  readonly model: SessionModel;
  readonly search: WhereSearch;
  /** null: follow while it runs, fit when it has ended. */
  #window = $state.raw<Span | null>(null);
  /** Set by zooming while following. */
  #followSpanNs = $state<number | null>(null);
  #tick = $state(0);
  #pausedAt = $state(0);
  query = $state('');
  sources = $state.raw<ReadonlySet<RowSource> | null>(null);
  selection = $state.raw<Selection | null>(null);
  collapsed = $state.raw<ReadonlySet<string>>(new Set());
  range = $state.raw<Span | null>(null);
  hoverTime = $state<number | null>(null);
  hoveredId = $state<string | null>(null);
  scrollTop = $state(0);

  readonly isExpression = $derived(isExpression(this.query));
  readonly problem = $derived(this.isExpression ? problemOf(this.query) : null);
  /** The expression that the hub is asked for; null: none, or it cannot be read. */
  readonly expression = $derived(this.isExpression && this.problem === null ? this.query : null);
  readonly filter = $derived.by(() => (this.isExpression
    ? filterByIds(this.query, this.sources, this.expression === null ? null : this.search.ids)
    : compileFilter(this.query, this.sources)));
  readonly matches = $derived.by(() => this.model.view.stores.map((store) => store.matching(this.filter)));
  readonly rows = $derived.by((): readonly Row[] => {
    const [only, ...more] = this.matches;
    if (only === undefined) return [];
    return more.length === 0 ? only.rows : this.matches.flatMap((match) => match.rows);
  });
  readonly treeRows = $derived.by(() => {
    void this.model.tableVersion;
    return this.model.table.rows(this.collapsed);
  });
  /** Only when a lane came, went or grew a line; rows that arrive are found in the tracks. */
  readonly layout = $derived.by(() => {
    void this.model.shape;
    return layOutLanes({ rows: this.treeRows, stores: untrack(() => this.model.view.stores), sources: this.sources });
  });
  readonly bounds = $derived.by((): Span => {
    const oldest = this.model.view.stores.reduce((from, store) => Math.min(from, store.from), 0);
    const newest = this.running ? this.now : this.model.newest;
    return { from: oldest, to: Math.max(newest, oldest + 1e6) };
  });
  readonly span = $derived.by((): Span => {
    if (this.#window !== null) return this.#window;
    if (!this.running) return fit(this.bounds);
    const width = this.#followSpanNs ?? Math.min(FOLLOW_LONGEST_NS, Math.max(FOLLOW_SHORTEST_NS, this.now * 1.02));
    return { from: this.now - width, to: this.now + width * 0.02 };
  });

  constructor(model: SessionModel) {
    this.model = model;
    this.search = model.createSearch();
  }

  get running(): boolean {
    return this.model.running;
  }

  get following(): boolean {
    return this.running && this.#window === null;
  }

  get now(): number {
    void this.#tick;
    return Math.max(this.model.nowNs(), this.model.newest);
  }

  /** Events that came since the window was taken off the live edge. */
  get arrivedSincePause(): number {
    return this.model.arrived - this.#pausedAt;
  }

  get window(): Span | null {
    return this.#window;
  }

  /** Called about twenty times a second while following. */
  advance(): void {
    this.#tick += 1;
  }

  show(span: Span): void {
    if (this.#window === null) this.#pausedAt = this.model.arrived;
    this.#window = clampTo(span, this.bounds);
  }

  zoomBy(factor: number, anchor: number): void {
    if (this.following) {
      // The live edge is the anchor: zooming does not stop the following.
      const width = (this.span.to - this.span.from) * factor;
      this.#followSpanNs = Math.min(Math.max(width, 1e6), Math.max(this.now * 2, FOLLOW_SHORTEST_NS));
      return;
    }
    this.show(zoom(this.span, factor, anchor));
  }

  zoomAtMiddle(factor: number): void {
    this.zoomBy(factor, (this.span.from + this.span.to) / 2);
  }

  panBy(share: number): void {
    this.show(pan(this.span, (this.span.to - this.span.from) * share));
  }

  fitAll(): void {
    this.range = null;
    if (this.running) this.show(fit(this.bounds));
    else this.#window = null;
  }

  toggleFollow(): void {
    if (this.following) this.show(this.span);
    else this.follow();
  }

  follow(): void {
    this.#window = null;
    this.#followSpanNs = null;
  }

  select(selection: Selection | null): void {
    this.selection = selection;
  }

  /** Brings a row into the window without changing its width. */
  reveal(row: Row): void {
    const { from, to } = this.span;
    if (row.t >= from && row.t <= to) return;
    this.show({ from: row.t - (to - from) / 2, to: row.t + (to - from) / 2 });
  }

  selectedProcess(): ProcessNode | null {
    const { selection } = this;
    void this.model.view;
    if (selection === null) return null;
    const key = selection.kind === 'process' ? selection.key : (this.model.row(selection.id)?.process ?? null);
    return key === null ? null : (this.model.table.get(key) ?? null);
  }

  setCollapsed(key: string, collapsed: boolean): void {
    const next = new Set(this.collapsed);
    if (collapsed) next.add(key);
    else next.delete(key);
    this.collapsed = next;
  }

  toggleSource(source: RowSource): void {
    const next = new Set(this.sources ?? ROW_SOURCES);
    if (next.has(source)) next.delete(source);
    else next.add(source);
    this.sources = next.size === 0 || next.size === ROW_SOURCES.length ? null : next;
  }

  onlySource(source: RowSource): void {
    this.sources = this.sources?.size === 1 && this.sources.has(source) ? null : new Set([source]);
  }

  restore(state: UrlState): void {
    this.query = state.query;
    this.sources = parseSources(state.sources);
    this.selection = state.selection;
    this.#window = state.from === null || state.to === null
      ? null
      : { from: this.model.base.toOffset(state.from), to: this.model.base.toOffset(state.to) };
  }

  toUrl(): UrlState {
    return {
      session: this.model.meta.session,
      from: this.#window === null ? null : this.model.base.toEpoch(this.#window.from),
      to: this.#window === null ? null : this.model.base.toEpoch(this.#window.to),
      selection: this.selection,
      query: this.query,
      sources: this.sources === null ? null : [...this.sources].join(','),
    };
  }
}
