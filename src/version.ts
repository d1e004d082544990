import { createRequire } from "node:module";

/** The release this is. */
export const { version } = createRequire(import.meta.url)("parlance/package.json") as { version: string };
