import { LinkifyIt, REBuilder } from "linkify-it";

/** A piece of a message: plain text, or an address with where it leads. */
export interface Piece {
  text: string;
  href?: string;
}

/** Splits a text at the addresses in it. Only those of http, https and mail lead anywhere. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let end = 0;
  for (const { index, raw, url } of linkify.match(text) ?? []) {
    const address = withoutSentence(raw, text.slice(Math.max(0, index - 3), index));
    const href = hrefOf(url.slice(0, url.length - raw.length) + address);
    if (href === undefined) continue;
    if (index > end) found.push({ text: text.slice(end, index) });
    found.push({ text: address, href });
    end = index + address.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

const mailName = /[a-z0-9](?:[a-z0-9_%+'-]|\.(?=[a-z0-9_%+'-])){0,63}/;
const mailNameBefore = new RegExp(`(?:^|[^\\w.%+'@-])'?(${mailName.source})$`, "i");
const schemes = /(^|[^a-z0-9])(https?:|mailto:)/gi;
/** What is in no address; of invisible characters those that turn text around, or that only part words. */
const separators = /[<>|`~\uff5c\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/**
 * The library's grammar is that of texts whose Markdown has been read, in
 * languages with spaces between words. Here marks are still there, and an
 * address may follow a letter of another script at once.
 */
class Grammar extends REBuilder {
  override get_schema_search(): RegExp {
    return schemes;
  }
  /** A name and a password before a host, where the library's own takes in sentences. */
  override get_auth(): RegExp {
    return /(?:[\w.~%!$&'*+,;=:-]{1,64}@)?/;
  }
  override get_mail_name(): RegExp {
    return mailName;
  }
  override get_mail_name_validator(): RegExp {
    return mailNameBefore;
  }
  override get_text_separators(): RegExp {
    return separators;
  }
  /** Hosts may have `_`; at their end it is a mark, and cut off later. */
  override get_pseudo_letter(): RegExp {
    return new RegExp(`(?:_|(?!${separators.source}|${this.src_ZPCc})${this.src_Any})`);
  }
}

const linkify = new LinkifyIt({ rebuilder: new Grammar(), urlAuth: true }).add("ftp:").add("//");

const marksBefore = /(?:\*+|~+)$/;
const trailing = /[*_~:.,;!?]+$/;
/** A host whose last part goes on in another script: no such hosts exist, such sentences do. */
const hostInSentence = /^((?:https?:\/\/)?[^/?#]*\.[a-z]{2,})(?!\p{Script=Latin})\p{L}[^./?#]*(?=[/?#]|$)/iu;

/** Cuts off what belongs to the text around an address: what marks it, and the end of the sentence. */
function withoutSentence(address: string, before: string): string {
  const [mark] = marksBefore.exec(before) ?? [];
  const [marked = ""] = mark === undefined ? [address] : address.split(mark, 1);
  return (hostInSentence.exec(marked)?.[1] ?? marked).replace(trailing, "");
}

/** Returns undefined for what no browser takes, and for an address with a user's name, which can pass for a host. */
function hrefOf(address: string): string | undefined {
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  return /^(https?|mailto):$/.test(url.protocol) ? url.href : undefined;
}
