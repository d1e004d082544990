/**
 * Returns a content type as the protocols know it, without what may be left
 * out: spaces, a charset that is UTF-8 in whatever writing, and parameters that
 * the type does not have. One with another charset comes back as it is.
 *
 * @example plainContentType('application/json; charset="utf-8"') // application/json
 */
export function plainContentType(value: string): string {
  const [type = "", ...parameters] = value.split(";").map((part) => part.trim().toLowerCase());
  const foreign = parameters.some((each) => each.startsWith("charset") && !utf8.test(each));
  return foreign ? value : type;
}

const utf8 = /^charset\s*=\s*(utf-?8|"utf-?8")$/;
