/** What each keyboard command does; the bindings themselves are in lib/keys.ts. */
import { type Command, commandOf } from '../lib/keys.ts';
import type { Row } from '../lib/row.ts';
import { lowerBound } from '../lib/search.ts';
import type { App } from './app.svelte.ts';
import type { Workspace } from './workspace.svelte.ts';

export function onKey(app: App, event: KeyboardEvent): void {
  const target = event.target instanceof HTMLElement ? event.target : null;
  const typing = target?.matches('input, textarea, [contenteditable]') ?? false;
  if (typing) {
    if (event.key === 'Escape') target?.blur();
    return;
  }
  if (target?.closest('[data-own-keys]') && event.key !== 'Escape') return;
  const command = commandOf(event);
  if (command === null) return;
  if (run(app, command)) event.preventDefault();
}

function run(app: App, command: Command): boolean {
  switch (command) {
    case 'help': app.helpOpen = !app.helpOpen; return true;
    case 'theme': app.theme.next(); return true;
    case 'filter': document.querySelector<HTMLInputElement>('#filter')?.focus(); return true;
    case 'link': void app.copyLink(); return true;
    case 'back': return back(app);
    default: return app.workspace !== null && inWorkspace(app.workspace, command);
  }
}

function back(app: App): boolean {
  const { workspace } = app;
  if (app.helpOpen) app.helpOpen = false;
  else if (workspace?.range != null) workspace.range = null;
  else if (workspace?.selection != null) workspace.select(null);
  else if (workspace !== null && workspace.query !== '') workspace.query = '';
  else return false;
  return true;
}

function inWorkspace(workspace: Workspace, command: Command): boolean {
  switch (command) {
    case 'next': step(workspace, 1); return true;
    case 'previous': step(workspace, -1); return true;
    case 'next-same': stepSame(workspace, 1); return true;
    case 'previous-same': stepSame(workspace, -1); return true;
    case 'collapse': fold(workspace); return true;
    case 'expand': unfold(workspace); return true;
    case 'zoom-in': workspace.zoomAtMiddle(0.7); return true;
    case 'zoom-out': workspace.zoomAtMiddle(1 / 0.7); return true;
    case 'pan-left': workspace.panBy(-0.15); return true;
    case 'pan-right': workspace.panBy(0.15); return true;
    case 'fit':
      if (workspace.range === null) workspace.fitAll();
      else { workspace.show(workspace.range); workspace.range = null; }
      return true;
    case 'live':
      if (workspace.running) workspace.toggleFollow();
      return true;
    default: return false;
  }
}

function step(workspace: Workspace, by: number): void {
  if (workspace.selection?.kind === 'process') {
    const { key } = workspace.selection;
    const at = workspace.treeRows.findIndex((row) => row.node.key === key);
    const next = workspace.treeRows[at + by];
    if (next !== undefined) workspace.select({ kind: 'process', key: next.node.key });
    return;
  }
  const at = selectedIndex(workspace);
  // Nothing selected: begin with the first row of the window.
  const next = at < 0 ? workspace.rows.find((row) => row.t >= workspace.span.from) : workspace.rows[at + by];
  choose(workspace, next);
}

function stepSame(workspace: Workspace, by: number): void {
  const at = selectedIndex(workspace);
  const source = workspace.rows[at]?.source;
  if (source === undefined) return;
  for (let index = at + by; index >= 0 && index < workspace.rows.length; index += by) {
    if (workspace.rows[index]?.source === source) return choose(workspace, workspace.rows[index]);
  }
}

function choose(workspace: Workspace, row: Row | undefined): void {
  if (row === undefined) return;
  workspace.select({ kind: 'event', id: row.id });
  workspace.reveal(row);
}

function selectedIndex(workspace: Workspace): number {
  const { selection } = workspace;
  const row = selection?.kind === 'event' ? workspace.model.row(selection.id) : undefined;
  return row === undefined ? -1 : workspace.rows.indexOf(row, lowerBound(workspace.rows, row.t, (item) => item.t));
}

function fold(workspace: Workspace): void {
  const node = workspace.selectedProcess();
  if (node === null) return;
  const row = workspace.treeRows.find((item) => item.node.key === node.key);
  if (row !== undefined && row.children > 0 && !row.collapsed) workspace.setCollapsed(node.key, true);
  else if (node.parent !== null) workspace.select({ kind: 'process', key: node.parent });
}

function unfold(workspace: Workspace): void {
  const node = workspace.selectedProcess();
  if (node !== null) workspace.setCollapsed(node.key, false);
}
