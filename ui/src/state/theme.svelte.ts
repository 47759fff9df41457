/** Dark, light, or as the system says. public/theme.js applies it before the first paint. */
export type Theme = 'system' | 'dark' | 'light';
const KEY = 'agentsight.theme';
const ORDER: readonly Theme[] = ['system', 'dark', 'light'];

export class ThemeState {
  chosen = $state<Theme>(read());
  #systemDark = $state(false);
  readonly dark = $derived(this.chosen === 'dark' || (this.chosen === 'system' && this.#systemDark));
  readonly #query = matchMedia('(prefers-color-scheme: dark)');
  readonly #onChange = (): void => { this.#systemDark = this.#query.matches; };

  constructor() {
    this.#systemDark = this.#query.matches;
    this.#query.addEventListener('change', this.#onChange);
  }

  next(): void {
    this.chosen = ORDER[(ORDER.indexOf(this.chosen) + 1) % ORDER.length] ?? 'system';
    const root = document.documentElement;
    if (this.chosen === 'system') delete root.dataset['theme'];
    else root.dataset['theme'] = this.chosen;
    try {
      localStorage.setItem(KEY, this.chosen);
    } catch {
      // Storage may be blocked; the choice then lasts as long as the page.
    }
  }

  close(): void {
    this.#query.removeEventListener('change', this.#onChange);
  }
}

function read(): Theme {
  const theme = document.documentElement.dataset['theme'];
  return theme === 'dark' || theme === 'light' ? theme : 'system';
}
