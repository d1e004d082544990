import fc from "fast-check";
import { Metadata } from "nice-grpc";
import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../../src/config/config.ts";
import { ErrorReason } from "../../src/model/errors.ts";
import { CallerAddresses } from "../../src/net/caller-address.ts";
import { addressKey, parseNetworks, plainAddress } from "../../src/net/networks.ts";
import { httpClients } from "../connect/clients.ts";
import { failureOf } from "../support/errors.ts";
import { seed } from "../support/seed.ts";
import { startTestServer } from "../support/server.ts";

const addresses = new CallerAddresses({
  trustedProxies: "10.0.0.0/8,2001:db8:f::/48",
  exemptAddresses: "none",
});

const at = (peer: string, headers: Record<string, string> = {}) => addresses.ofCall(peer, Metadata(headers));

describe("the address of a caller", () => {
  test("is that of the connection, an IPv4 address also when IPv6 carries it, a /64 of an IPv6 one", () => {
    expect(at("192.0.2.7:4711")).toBe("192.0.2.7");
    expect(at("::ffff:192.0.2.7:4711")).toBe("192.0.2.7");
    expect(at("::ffff:c000:207:4711")).toBe("192.0.2.7");
    expect(at("2001:db8:1:2:3:4:5:6:4711")).toBe("2001:db8:1:2::/64");
    expect(at("[2001:DB8:1:2::9]:4711")).toBe("2001:db8:1:2::/64");
    expect(at("fe80::1%eth0:4711")).toBe("fe80:0:0:0::/64");
    expect(at("unix:")).toBeUndefined();
  });

  test("is not taken from a header of anyone but a trusted proxy", () => {
    expect(at("192.0.2.7:1", { "x-forwarded-for": "198.51.100.1" })).toBe("192.0.2.7");
    expect(at("192.0.2.7:1", { forwarded: "for=198.51.100.1" })).toBe("192.0.2.7");
    expect(at("10.1.2.3:1", { "x-forwarded-for": "198.51.100.1" })).toBe("198.51.100.1");
    expect(at("::ffff:10.1.2.3:1", { "x-forwarded-for": "198.51.100.1" })).toBe("198.51.100.1");
    expect(at("2001:db8:f::1:1", { forwarded: 'for="[2001:db8:1:2::3]:4711";proto=https' })).toBe(
      "2001:db8:1:2::/64",
    );
  });

  test("is the last that is no proxy: what stands before, anyone may have written", () => {
    expect(at("10.0.0.1:1", { "x-forwarded-for": "203.0.113.9, 198.51.100.1, 10.0.0.2" })).toBe(
      "198.51.100.1",
    );
    expect(at("10.0.0.1:1", { forwarded: "for=203.0.113.9, for=198.51.100.1:80;by=10.0.0.1" })).toBe(
      "198.51.100.1",
    );
    expect(at("10.0.0.1:1", { "x-forwarded-for": "198.51.100.1, nonsense" })).toBe("10.0.0.1");
    expect(at("10.0.0.1:1", { forwarded: "for=unknown" })).toBe("10.0.0.1");
    expect(at("10.0.0.1:1", { "x-forwarded-for": "10.9.9.9" })).toBe("10.9.9.9");
  });

  test("is the proxy's own when its headers contradict each other, of which one may be its client's", () => {
    expect(at("10.0.0.1:1", { "x-forwarded-for": "198.51.100.1", forwarded: "for=203.0.113.9" })).toBe(
      "10.0.0.1",
    );
    expect(at("10.0.0.1:1", { "x-forwarded-for": "198.51.100.1", forwarded: "for=198.51.100.1" })).toBe(
      "198.51.100.1",
    );
  });

  test("is found or not found, and never throws, whatever the headers hold", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "for=",
        "FOR=",
        '"',
        "[",
        "]",
        ":",
        "::",
        ",",
        ";",
        ".",
        "%",
        " ",
        "10.0.0.1",
        "::1",
        "for=unknown",
      ),
      fc.ipV4(),
      fc.ipV6(),
      fc.stringMatching(/^[ -~]{0,12}$/),
    );
    const value = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(value, value, (xff, forwarded) => {
        const found = at("10.0.0.1:1", { "x-forwarded-for": xff, forwarded });
        expect(found).toMatch(/^(\d+\.){3}\d+$|^([0-9a-f]{1,4}:){4}:\/64$/);
      }),
      { seed: seed(), numRuns: 2_000 },
    );
  });

  test("of an IPv6 address is the same however it is written", () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const plain = plainAddress(address) as string;
        const viaUrl = plainAddress(new URL(`http://[${address}]`).hostname.slice(1, -1)) as string;
        expect(addressKey(plain)).toBe(addressKey(viaUrl));
      }),
      { seed: seed(), numRuns: 500 },
    );
  });
});

test("connections from proxies and exempt addresses are counted for nobody", () => {
  const counted = new CallerAddresses({ trustedProxies: "10.0.0.1" });
  expect(counted.ofConnection("192.0.2.7")).toBe("192.0.2.7");
  expect(counted.ofConnection("10.0.0.1")).toBeUndefined();
  expect(counted.ofConnection("127.0.0.1")).toBeUndefined();
  expect(counted.ofConnection("::ffff:127.0.0.1")).toBeUndefined();
  expect(counted.ofConnection("::1")).toBeUndefined();
  expect(counted.ofConnection(undefined)).toBeUndefined();
});

test("what is no list of networks is refused at start", () => {
  for (const trustedProxies of [
    "10.0.0.0/33",
    "::1/129",
    "10.0.0",
    "proxy.example",
    "10.0.0.1/8/8",
    "10.0.0.1,",
    "1.2.3.4/-1",
  ]) {
    expect(parseNetworks(trustedProxies)).toBeUndefined();
    expect(() => loadConfig({ env: {}, options: { trustedProxies } })).toThrow(ConfigError);
  }
  expect(loadConfig({ env: {}, options: { trustedProxies: "10.0.0.0/8, ::1" } }).trustedProxies).toBe(
    "10.0.0.0/8, ::1",
  );
});

describe("logins", () => {
  const login = (userId: string) => ({ credential: { case: "devUserId" as const, value: userId } });
  const failing = { credential: { case: "token" as const, value: "x.y.z" } };

  test("are limited by address, on both ports together, and others come in meanwhile", async () => {
    const server = await startTestServer({ trustedProxies: "127.0.0.1", maxLoginsPerAddressPerMinute: 3 });
    try {
      const from = (address: string) => server.as({ "x-forwarded-for": address }).chat;
      const http = httpClients("Connect, JSON, over HTTP/1.1", server.server.httpAddress as string, {
        "x-forwarded-for": "192.0.2.1",
      });
      for (const user of ["a", "b"]) await from("192.0.2.1").login(login(user));
      await http.chat.login(login("c"));
      expect(await failureOf((options) => from("192.0.2.1").login(login("d"), options))).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        reason: ErrorReason.RATE_LIMITED,
        quota: { subject: "address", description: "maxLoginsPerAddressPerMinute: at most 3 logins a minute" },
        retryAfterMs: expect.toSatisfy((ms: number) => ms > 0 && ms <= 20_000),
      });
      await expect(http.chat.login(login("e"))).rejects.toThrow("maxLoginsPerAddressPerMinute");
      http.close();
      await from("192.0.2.2").login(login("f"));
      // The proxy itself, which names nobody, is on loopback.
      for (const user of ["g", "h", "i", "j"]) await server.as({}).chat.login(login(user));
    } finally {
      await server.close();
    }
  });

  test("that fail are limited by address", async () => {
    const server = await startTestServer({ exemptAddresses: "none", maxFailedLoginsPerAddressPerMinute: 2 });
    try {
      const { chat } = server.as({});
      const reasons: ErrorReason[] = [];
      for (let n = 0; n < 4; n++)
        reasons.push((await failureOf((options) => chat.login(failing, options))).reason);
      expect(reasons.slice(0, 2)).not.toContain(ErrorReason.RATE_LIMITED);
      expect(reasons.slice(2)).toEqual([ErrorReason.RATE_LIMITED, ErrorReason.RATE_LIMITED]);
      expect((await failureOf((options) => chat.login(login("alice"), options))).reason).toBe(
        ErrorReason.RATE_LIMITED,
      );
    } finally {
      await server.close();
    }
  });

  test("are limited on a node, whoever and wherever they are", async () => {
    const server = await startTestServer({ maxLoginsPerSecond: 1 });
    try {
      const { chat } = server.as({});
      const results = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          chat.login(login(`user-${n}`)).then(
            () => true,
            () => false,
          ),
        ),
      );
      expect(results.filter((came) => came).length).toBeGreaterThanOrEqual(10);
      const failure = await failureOf(async (options) => {
        for (let n = 0; n < 1_000; n++) await chat.login(login("alice"), options);
      });
      expect(failure).toMatchObject({ reason: ErrorReason.RATE_LIMITED, quota: { subject: "server" } });
    } finally {
      await server.close();
    }
  });
});
