/** What the bench uses of hpack.js, which comes without types. */
declare module 'hpack.js' {
  interface Decompressor {
    write(block: Uint8Array): void;
    /** Decodes all that was written. */
    execute(): void;
    /** The next field, null after the last. */
    read(): { readonly name: string; readonly value: string } | null;
  }

  const hpack: { readonly decompressor: { create(options: { readonly table: { readonly maxSize: number } }): Decompressor } };
  export default hpack;
}
