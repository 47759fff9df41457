/** Names of addresses, as DNS answers and TLS greetings told them. */
import { LIMITS } from '../limits.ts';

export interface AddressNames {
  /** A DNS answer: the newest one counts. */
  answered(address: string, name: string): void;
  /** A TLS greeting: counts where no answer was seen. */
  greeted(address: string, name: string): void;
  nameOf(address: string): string | null;
}

export function createAddressNames(limit: number = LIMITS.addressNames, onForgotten: () => void = () => {}): AddressNames {
  const names = new Map<string, string>();
  const learn = (address: string, name: string): void => {
    names.delete(address);
    if (names.size >= limit) {
      names.delete(names.keys().next().value as string);
      onForgotten();
    }
    names.set(address, name);
  };
  return {
    answered: learn,
    greeted(address, name) {
      if (!names.has(address)) learn(address, name);
    },
    nameOf: (address) => names.get(address) ?? null,
  };
}
