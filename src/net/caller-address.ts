import type { Metadata } from "nice-grpc";
import { forwardedKeys } from "./client-headers.ts";
import { addressKey, type Networks, parseNetworks, plainAddress } from "./networks.ts";

/** Which addresses are taken for what. Each is a list of networks as `parseNetworks` reads it. */
export interface AddressSettings {
  /** Proxies whose word for their clients' addresses is taken. */
  trustedProxies?: string | undefined;
  /** Addresses that limits per address do not concern. */
  exemptAddresses?: string | undefined;
}

const [forwardedFor, forwarded] = forwardedKeys;

/** Loopback: where all come from who come through a proxy on this machine that nobody has named. */
export const defaultExemptAddresses = "127.0.0.0/8,::1";

/** The most addresses of a header that are looked at, from its end. */
const maxHops = 20;

/** Tells at which address a caller is, for limits per address. */
export class CallerAddresses {
  readonly #proxies: Networks;
  readonly #exempt: Networks;

  /** @throws TypeError when something in the settings is no network */
  constructor({ trustedProxies, exemptAddresses = defaultExemptAddresses }: AddressSettings = {}) {
    this.#proxies = networksOf(trustedProxies ?? "none");
    this.#exempt = networksOf(exemptAddresses);
  }

  /**
   * Returns whom limits per address are kept for when a call came this way; undefined where there are none.
   *
   * @param peer the other side of the connection, as `address:port`
   * @param metadata what came with the call, in which a proxy that is trusted may say for whom it calls
   */
  ofCall(peer: string, metadata: Metadata): string | undefined {
    const address = plainAddress(peer.slice(0, peer.lastIndexOf(":")).replace(/^\[|\]$/g, ""));
    if (address === undefined) return undefined;
    return this.#keyOf(this.#proxies.has(address) ? this.#behind(address, metadata) : address);
  }

  /** Returns whom connections from an address are counted for; undefined where they are not, as those of proxies. */
  ofConnection(remoteAddress: string | undefined): string | undefined {
    const address = plainAddress(remoteAddress ?? "");
    return address === undefined || this.#proxies.has(address) ? undefined : this.#keyOf(address);
  }

  #keyOf(address: string): string | undefined {
    return this.#exempt.has(address) ? undefined : addressKey(address);
  }

  /**
   * The last address of a proxy's header that is no trusted proxy itself: what stands before it, its owner may have made
   * up. With both headers, of which a proxy may have written one and passed the other on, they have to agree.
   */
  #behind(proxy: string, metadata: Metadata): string {
    const found = [
      this.#last(proxy, metadata.getAll(forwardedFor), (hop) => hop),
      this.#last(
        proxy,
        metadata.getAll(forwarded),
        (hop) => /(?:^|;)\s*for=("[^"]*"|[^;"\s]*)/i.exec(hop)?.[1] ?? "",
      ),
    ].filter((address) => address !== undefined);
    const [first, second = first] = found;
    return first !== undefined && first === second ? first : proxy;
  }

  #last(
    proxy: string,
    values: (string | Uint8Array)[],
    addressIn: (hop: string) => string,
  ): string | undefined {
    if (values.length === 0) return undefined;
    const hops = values.join(",").split(",").slice(-maxHops).reverse();
    let last = proxy;
    for (const hop of hops) {
      const address = plainAddress(withoutPort(addressIn(hop.trim()).replaceAll('"', "")));
      if (address === undefined) return last;
      last = address;
      if (!this.#proxies.has(address)) return last;
    }
    return last;
  }
}

/** Takes the port off `192.0.2.1:80` and `[2001:db8::1]:80`. */
function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d*)?$/.exec(text)?.[1] ?? /^([\d.]+):\d*$/.exec(text)?.[1] ?? text;
}

function networksOf(text: string): Networks {
  const networks = parseNetworks(text);
  if (networks === undefined) throw new TypeError(`${text} is no list of networks such as 10.0.0.0/8,::1`);
  return networks;
}
