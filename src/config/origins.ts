/** Schemes of apps in a web view and of browsers' extensions, whose pages have origins too. */
const appScheme =
  /^(capacitor|ionic|tauri|app|chrome-extension|moz-extension|safari-web-extension):\/\/[^\s/?#@,*]+$/;

/**
 * Reads a list of origins as browsers write them in `Origin`: white space,
 * capital letters, a last slash and the scheme's own port do not matter.
 *
 * @param text origins separated by commas, or `*` alone
 * @returns undefined when one of them is none that a browser ever sends
 */
export function parseOrigins(text: string): string[] | undefined {
  if (text.trim() === "*") return ["*"];
  const origins = text.split(",").map((each) => parseOrigin(each.trim()));
  return origins.every((origin) => origin !== undefined) ? [...new Set(origins)] : undefined;
}

function parseOrigin(text: string): string | undefined {
  // Of pages in files, `data:` URLs and sandboxed frames.
  if (text === "null") return text;
  const bare = text.toLowerCase().replace(/\/$/, "");
  if (appScheme.test(bare)) return bare;
  if (!/^https?:\/\/[^\s/?#@,*]+$/.test(bare)) return undefined;
  return URL.parse(bare)?.origin;
}
