/** All locators, the cheapest first. The first that finds its library ends the search of a file. */
import type { Locator } from './locator.ts';

export const LOCATORS: readonly Locator[] = [];
