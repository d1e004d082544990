import { BlockList, isIP } from "node:net";

/** A set of networks, such as those of trusted proxies. */
export interface Networks {
  /** Whether an address, as `plainAddress` returns it, is in one of them. */
  has(address: string): boolean;
}

/**
 * Reads networks such as `10.0.0.0/8, ::1, fd00::/8`. An address alone is a network of one; `none` is no network at all.
 *
 * @returns undefined when something is no network
 */
export function parseNetworks(text: string): Networks | undefined {
  const list = new BlockList();
  for (const part of text === "none" ? [] : text.split(",")) {
    const [address = "", prefix, ...rest] = part.trim().split("/");
    const version = isIP(address);
    const bits = version === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (version === 0 || rest.length > 0 || length < 0 || length > bits) return undefined;
    list.addSubnet(address, length, familyOf(address));
  }
  return { has: (address) => isIP(address) !== 0 && list.check(address, familyOf(address)) };
}

/**
 * Returns an address as everybody writes it: an IPv4 address that IPv6 carries as itself, without a zone.
 *
 * @returns undefined when it is no address
 */
export function plainAddress(text: string): string | undefined {
  const [address = ""] = text.split("%", 1);
  const version = isIP(address);
  if (version === 0) return undefined;
  if (version === 4) return address;
  const groups = groupsOf(address);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return [groups[6], groups[7]].flatMap((group = 0) => [group >> 8, group & 255]).join(".");
  }
  return address.toLowerCase();
}

/** Returns whom a limit per address is kept for: an IPv4 address, or the /64 of an IPv6 one, which one customer has. */
export function addressKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const network = groupsOf(address).slice(0, 4);
  return `${network.map((group) => group.toString(16)).join(":")}::/64`;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}

/** The eight numbers of an IPv6 address. */
function groupsOf(address: string): number[] {
  const [head = "", tail] = address.split("::");
  const before = numbersOf(head);
  if (tail === undefined) return before;
  const after = numbersOf(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function numbersOf(part: string): number[] {
  if (part === "") return [];
  return part.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
