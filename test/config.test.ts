import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ConfigError,
  type ConfigSources,
  loadConfig,
  loadSettings,
  settings,
  visibleSecrets,
} from "../src/config/config.ts";
import { parseOrigins } from "../src/config/origins.ts";
import { optionOf, type Setting, variableOf } from "../src/config/settings.ts";
import { createParlance } from "../src/index.ts";
import { seed } from "./support/seed.ts";

const secret = "a secret of the tests that is long enough";
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "parlance-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(content: string, name = "config.json"): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** Loads without this machine's own environment. */
function load(sources: ConfigSources = {}) {
  return loadConfig({ env: {}, ...sources });
}

function refusal(sources: ConfigSources): string {
  try {
    load(sources);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as ConfigError;
    expect(message).not.toContain("\n");
    return message;
  }
  return expect.unreachable("was accepted");
}

describe("the configuration", () => {
  test("is the defaults when nothing is set", () => {
    const config = load();
    for (const [name, setting] of Object.entries<Setting<unknown>>(settings)) {
      expect(config).toHaveProperty(name, setting.default);
    }
  });

  test("has defaults that are themselves allowed", () => {
    for (const setting of Object.values<Setting<unknown>>(settings)) {
      if (setting.default !== undefined) expect(setting.schema.safeParse(setting.default).success).toBe(true);
    }
  });

  test("takes options before variables before the file before defaults", () => {
    const file = fileWith('{ "port": 1, "maxSessions": 11, "reflection": false }');
    const env = { PARLANCE_PORT: "2", PARLANCE_DATA_DIR: "/env", PARLANCE_MAX_SESSIONS: "12" };
    const config = load({ file, env, options: { port: "3", dataDir: undefined } });
    expect(config).toMatchObject({
      port: 3,
      maxSessions: 12,
      dataDir: "/env",
      reflection: false,
      host: "127.0.0.1",
    });
  });

  test("finds its file by PARLANCE_CONFIG", () => {
    expect(load({ env: { PARLANCE_CONFIG: fileWith('{ "port": 7 }') } }).port).toBe(7);
  });

  test("passes over empty variables, others' variables and those of tests", () => {
    const env = { PARLANCE_PORT: "", PARLANCE_CONFIG: "", PARLANCE_TEST_SEED: "1", PATH: "/bin" };
    expect(load({ env }).port).toBe(50_051);
  });

  test.each([
    ["true", true],
    ["on", true],
    ["1", true],
    ["false", false],
    ["off", false],
    ["0", false],
  ])("reads the flag %j", (text, value) => {
    expect(load({ env: { PARLANCE_REFLECTION: text } }).reflection).toBe(value);
  });

  test("reads the secret from a file without its last line break", () => {
    const jwtSecretFile = fileWith(`${secret}\n`, "secret");
    expect(load({ options: { auth: "jwt", jwtSecretFile } }).jwtSecret).toBe(secret);
  });

  test("reads files with a byte order mark as those without", () => {
    const jwtSecretFile = fileWith(`\uFEFF${secret}\n`, "secret-bom");
    const natsPasswordFile = fileWith("\uFEFFhunter2\r\n", "password-bom");
    const adminTokenFile = fileWith("\uFEFFa token of 16 bytes", "token-bom");
    const file = fileWith(`\uFEFF${JSON.stringify({ jwtSecretFile, natsPasswordFile, adminTokenFile })}`);
    expect(load({ file, options: { natsUser: "u" } })).toMatchObject({
      jwtSecret: secret,
      natsPassword: "hunter2",
      adminToken: "a token of 16 bytes",
    });
  });

  test.each([
    ["UTF-16", Buffer.from(`\uFEFF${secret}`, "utf16le")],
    ["UTF-8", Buffer.from(`${secret}\xff`, "latin1")],
  ])(
    "refuses secret and configuration files that are not UTF-8 (%s is named), without a piece of them",
    (name, bytes) => {
      const path = join(folder, "other-encoding");
      writeFileSync(path, bytes);
      for (const sources of [{ options: { jwtSecretFile: path } }, { file: path }]) {
        expect(refusal(sources)).toMatch(new RegExp(`cannot be read: .*other-encoding is .*${name}`));
        expect(refusal(sources)).not.toContain("secret of");
      }
    },
  );

  test("reads the NATS password from a file", () => {
    const natsPasswordFile = fileWith("hunter2\n", "password");
    expect(load({ options: { natsUser: "u", natsPasswordFile } }).natsPassword).toBe("hunter2");
  });

  test.each(["nats://a", "nats://a:1,nats://[::1]:2", "tls://u:p@a.example:4222"])(
    "takes %j as natsUrl",
    (url) => {
      const env = { PARLANCE_NATS_URL: url, PARLANCE_DATABASE_URL: "postgres://a/b" };
      expect(load({ env }).natsUrl).toBe(url);
    },
  );

  test.each([
    "postgres://a/b",
    "postgresql://user:p%40ss%2F%23%3F@db.example:5432/chat?sslmode=require",
    "postgresql://user:pa:ss!word$&'()*+;=~@[::1]:5432/chat",
    "postgresql:///chat?host=/run/postgresql",
    "postgresql://user@%2Frun%2Fpostgresql/chat",
  ])("takes %j as databaseUrl", (databaseUrl) => {
    expect(load({ options: { databaseUrl } }).databaseUrl).toBe(databaseUrl);
  });

  test.each([
    ["/", "/"],
    ["/chat", "/chat"],
    ["/chat/", "/chat"],
    ["/a/b-c/d.e_f~g/", "/a/b-c/d.e_f~g"],
  ])("takes %s as a path before those of the HTTP port", (text, httpBasePath) => {
    expect(load({ env: { PARLANCE_HTTP_BASE_PATH: text } })).toMatchObject({ httpBasePath });
  });

  test("takes an admin port that others can reach once it has a token, from a file too", () => {
    const adminTokenFile = fileWith("a token of 16 bytes\n", "admin-token");
    const options = { adminPort: "0", adminHost: "[::]", adminTokenFile, allowInsecure: "plain-text" };
    expect(load({ options })).toMatchObject({ adminHost: "::", adminToken: "a token of 16 bytes" });
  });

  test("takes the secret or its file from the more important source", () => {
    const file = fileWith(JSON.stringify({ jwtSecretFile: fileWith(secret, "secret") }));
    expect(load({ file, options: { jwtSecret: `${secret}!` } }).jwtSecret).toBe(`${secret}!`);
  });
});

describe("a setting that is", () => {
  test("unknown is named, whatever its source", () => {
    expect(refusal({ options: { prot: "1" } })).toMatch(/^--prot is no option; .*--help/);
    expect(refusal({ env: { PARLANCE_PROT: "1" } })).toMatch(/^PARLANCE_PROT is no setting; .*--help/);
    expect(refusal({ file: fileWith('{ "prot": 1 }') })).toMatch(/^"prot" in .*config\.json is no setting/);
    expect(refusal({ file: fileWith('{ "__proto__": 1 }') })).toContain("is no setting");
  });

  test.each(["abc", "-1", "65536", "1.5", "1e3", "0x10", " 80", "NaN", "99999999999999999999"])(
    "no port (%j) is named with the allowed range",
    (text) => {
      expect(refusal({ env: { PARLANCE_PORT: text } })).toBe(
        `port must be a whole number from 0 to 65,535, but PARLANCE_PORT is ${JSON.stringify(text)}`,
      );
    },
  );

  test.each([
    "chat",
    "//",
    "//chat",
    "/chat//",
    "/a//b",
    "/..",
    "/a/../b",
    "/.",
    "/chat?a=b",
    "/chat#a",
    "/a b",
    "/café",
  ])("no path (%s) is named with what one is made of", (text) => {
    expect(refusal({ options: { httpBasePath: text } })).toBe(
      "httpBasePath must be a path such as /chat, of letters, digits and - . _ ~ between its slashes, " +
        `but --http-base-path is ${JSON.stringify(text)}`,
    );
  });

  test.each(["/%63hat", "\\\\chat", "http://a/chat", "/chat\n", ":/chat"])("no path is %j either", (text) => {
    expect(refusal({ env: { PARLANCE_HTTP_BASE_PATH: text } })).toMatch(
      /^httpBasePath must be a path such as/,
    );
  });

  test("of the wrong type in the file is refused", () => {
    expect(refusal({ file: fileWith('{ "port": "80" }') })).toMatch(
      /^port must be a whole number .* is "80"$/,
    );
    expect(refusal({ file: fileWith('{ "reflection": "on" }') })).toMatch(
      /^reflection must be true or false/,
    );
    expect(refusal({ file: fileWith('{ "host": null }') })).toMatch(/^host must be text/);
  });

  test("no choice is named with the choices", () => {
    expect(refusal({ options: { auth: "none" } })).toBe('auth must be one of dev, jwt, but --auth is "none"');
  });

  test("a secret is never repeated", () => {
    const short = "hunter2hunter2";
    const messages = [
      refusal({ options: { jwtSecret: short } }),
      refusal({ env: { PARLANCE_JWT_SECRET: short } }),
      refusal({ file: fileWith(JSON.stringify({ jwtSecret: short })) }),
      refusal({ file: fileWith(`{ "jwtSecret": "${short}`) }),
      refusal({ options: { jwtSecretFile: fileWith(short, "secret") } }),
      refusal({ env: { PARLANCE_NATS_URL: `http://u:${short}@host` } }),
      refusal({ options: { natsPassword: short } }),
    ];
    for (const message of messages) expect(message).not.toContain("hunter2");
  });

  test("wrong in any way is refused with one line that names it", () => {
    const entries = fc.constantFrom(...Object.entries<Setting<unknown>>(settings));
    fc.assert(
      fc.property(entries, fc.string(), ([name, setting], text) => {
        const env = { [variableOf(name)]: text };
        try {
          load({ env });
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          // Rules between settings and files that cannot be read speak of the setting too.
          return (
            error.message.includes(name) &&
            !(setting.secret && error.message.includes(text) && text.length > 3)
          );
        }
        return true;
      }),
      { seed: seed(), numRuns: 500 },
    );
  });
});

describe("a server where anyone can log in as anybody", () => {
  const wayOut = /PARLANCE_AUTH=jwt and PARLANCE_JWT_SECRET/;

  test.each([
    "0.0.0.0",
    "::",
    "192.168.1.2",
    "example.org",
    "[::]",
    "::ffff:10.0.0.1",
    "localhost.example.org",
  ])("does not listen on %s, whatever the source", (host) => {
    expect(refusal({ options: { host } })).toMatch(wayOut);
    expect(refusal({ env: { PARLANCE_HOST: host } })).toMatch(wayOut);
    expect(refusal({ file: fileWith(JSON.stringify({ host })) })).toMatch(wayOut);
  });

  test.each(["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "0:0:0:0:0:0:0:1"])(
    "listens on %s",
    (host) => {
      expect(load({ options: { host } }).host).toBe(host.replace(/[[\]]/g, ""));
    },
  );

  test("listens anywhere once it checks tokens", () => {
    const env = { PARLANCE_HOST: "0.0.0.0", PARLANCE_AUTH: "jwt", PARLANCE_JWT_SECRET: secret };
    expect(load({ env: { ...env, PARLANCE_ALLOW_INSECURE: "plain-text" } }).host).toBe("0.0.0.0");
  });
});

describe("a URL whose password holds a character that has to be encoded is refused without a piece of it:", () => {
  // Passwords that look like the end of a URL are read as one by every parser.
  const passwords = [
    "se@cret",
    "se/cret",
    "se#cret",
    "se?cret",
    "12/cret",
    "12#cret",
    "1@2/cret",
    "12?x=cret",
  ];

  test.each(passwords)("databaseUrl with %j", (password) => {
    const message = refusal({ env: { PARLANCE_DATABASE_URL: `postgres://user:${password}@db/chat` } });
    expect(message).toMatch(/^databaseUrl must be .*percent-encoded.*PARLANCE_DATABASE_URL/);
    expect(message).not.toMatch(/cret|user:\d/);
  });

  test.each([...passwords, "se,cret"])("natsUrl with %j", (password) => {
    for (const url of [`nats://user:${password}@nats`, `nats://a,nats://user:${password}@nats:4222`]) {
      const env = { PARLANCE_NATS_URL: url, PARLANCE_DATABASE_URL: "postgres://a/b" };
      const message = refusal({ env });
      expect(message).toMatch(/^natsUrl must be .*percent-encoded.*PARLANCE_NATS_URL/);
      expect(message).not.toMatch(/cret|user:\d/);
    }
  });

  test.each(passwords)("those of createParlance, with %j", async (password) => {
    const databaseUrl = `postgres://user:${password}@db/chat`;
    const natsUrl = `nats://user:${password}@nats`;
    for (const urls of [{ databaseUrl }, { databaseUrl: "postgres://a/b", natsUrl }]) {
      const failure: unknown = await createParlance({ ...urls, auth: "dev" }).catch((error) => error);
      expect(failure).toBeInstanceOf(TypeError);
      expect((failure as Error).message).toMatch(/^(databaseUrl|natsUrl) must be .*percent-encoded/);
      expect((failure as Error).message).not.toMatch(/cret|user:\d/);
    }
  });
});

test("origins are read as browsers write them, and those that no browser writes are refused", () => {
  expect(
    parseOrigins(" https://Chat.Example/ ,http://a:80,https://b:8443, https://bücher.example ,null"),
  ).toEqual(["https://chat.example", "http://a", "https://b:8443", "https://xn--bcher-kva.example", "null"]);
  expect(parseOrigins(" * ")).toEqual(["*"]);
  for (const never of [
    ...[
      "https://a/path",
      "https://a?x",
      "https://*.example",
      "https://u@a",
      "a.example",
      "a,b",
      "",
      "https://a,,b",
    ],
    ...["ws://a", "file:///", "capacitor://", "capacitor://a/b", "*,https://a", "NULL", "https://a b"],
  ])
    expect(refusal({ options: { corsOrigins: never } }), never).toMatch(
      /^corsOrigins must be origins such as/,
    );
});

describe("a server that others can reach", () => {
  const tokens = { auth: "jwt", jwtSecret: secret };
  const tls = { tlsCertFile: "a.pem", tlsKeyFile: "a.key" };
  const weakSecrets = [
    "a".repeat(40),
    "changeme".repeat(4),
    "0123456789abcdef".repeat(2),
    `password${"x7q".repeat(9)}`,
  ];

  test.each([
    ["its port", { ...tokens, host: "0.0.0.0" }],
    ["its admin port", { adminPort: "0", adminHost: "192.0.2.1", adminToken: "a token of 16 bytes" }],
  ])("speaks plain text on %s only where that is allowed by name", (_, options) => {
    expect(refusal({ options })).toMatch(
      /ost \S+ is reachable by others, and without TLS .*TLS_CERT_FILE.*plain-text$/,
    );
    expect(refusal({ options: { ...options, allowInsecure: "weak-secret" } })).toContain("without TLS");
    for (const more of [tls, { allowInsecure: "plain-text" }, { allowInsecure: "weak-secret,plain-text" }])
      expect(() => load({ options: { ...options, ...more } })).not.toThrow();
  });

  test.each(weakSecrets)("has no secret that can be guessed (%j), unless that is allowed by name", (weak) => {
    for (const options of [
      { ...tokens, jwtSecret: weak, host: "::", ...tls },
      { adminPort: "0", adminHost: "::", adminToken: weak, ...tls },
    ]) {
      const message = refusal({ options });
      expect(message).toMatch(/(jwtSecret|adminToken) can be guessed; .*openssl rand/);
      expect(message).not.toContain(weak);
      expect(refusal({ options: { ...options, allowInsecure: "plain-text" } })).toBe(message);
      expect(() => load({ options: { ...options, allowInsecure: "weak-secret" } })).not.toThrow();
      expect(() => load({ options: { ...options, host: "127.0.0.1", adminHost: "::1" } })).not.toThrow();
    }
  });

  test("takes secrets made at random, in any writing", () => {
    const encodings = fc.constantFrom("hex" as const, "base64" as const, "base64url" as const);
    const bytes = fc.noShrink(fc.constant(null).map(() => randomBytes(32)));
    fc.assert(
      fc.property(bytes, encodings, (random, encoding) => {
        const options = { ...tokens, jwtSecret: random.toString(encoding), host: "::", ...tls };
        expect(() => load({ options })).not.toThrow();
      }),
      { seed: seed(), numRuns: 200 },
    );
  });
});

test("each secret on the command line is warned of, with the way out and without a piece of it", () => {
  const options = {
    jwtSecret: secret,
    adminToken: secret,
    natsToken: secret,
    databaseUrl: "postgres://user:hunter2hunter2@db/chat",
    natsUrl: "nats://token-of-nats@nats",
    port: "1",
  };
  const warnings = visibleSecrets(options);
  expect(warnings.map(({ option }) => option).sort()).toEqual([
    "--admin-token",
    "--database-url",
    "--jwt-secret",
    "--nats-token",
    "--nats-url",
  ]);
  for (const { option, message } of warnings) {
    expect(message).toContain(`${option}; set PARLANCE_`);
    expect(message).not.toMatch(/hunter2|token-of-nats|secret of the/);
  }
  expect(warnings.find(({ option }) => option === "--jwt-secret")?.message).toContain(
    "PARLANCE_JWT_SECRET_FILE",
  );
  expect(visibleSecrets({ databaseUrl: "postgres://db/chat", natsUrl: "nats://nats" })).toEqual([]);
});

describe("some settings for a command", () => {
  test("are read without the others, whatever these say", () => {
    const file = fileWith('{ "prot": 1, "auth": "jwt", "port": "x", "jwtIssuer": "shop" }');
    const env = { PARLANCE_HOST: "0.0.0.0", PARLANCE_JWT_SECRET_FILE: "/none", PARLANCE_PROT: "1" };
    const options = { jwtSecret: secret };
    expect(loadSettings(["jwtSecret", "jwtIssuer"], { file, env, options })).toEqual({
      jwtSecret: secret,
      jwtIssuer: "shop",
    });
    const adminTokenFile = fileWith("a token of 16 bytes\n", "admin-token");
    const admin = { PARLANCE_ADMIN_HOST: "[::1]", PARLANCE_ADMIN_TOKEN_FILE: adminTokenFile };
    expect(loadSettings(["adminHost", "adminToken"], { env: admin })).toEqual({
      adminHost: "::1",
      adminToken: "a token of 16 bytes",
    });
  });

  test("are checked themselves", () => {
    expect(() => loadSettings(["adminPort"], { env: { PARLANCE_ADMIN_PORT: "x" } })).toThrow(
      /^adminPort must/,
    );
  });
});

describe("settings that do not go together are refused:", () => {
  test.each([
    ["tokens without a secret", { auth: "jwt" }, "PARLANCE_JWT_SECRET"],
    ["a certificate without its key", { tlsCertFile: "a.pem" }, "tlsKeyFile"],
    ["a key without its certificate", { tlsKeyFile: "a.pem" }, "tlsCertFile"],
    ["requests that cannot hold the largest content", { maxContentBytes: "131072" }, "maxRequestBytes"],
    ["an outbox that cannot hold the largest request", { outboxMaxBytes: "65536" }, "outboxMaxBytes"],
    ["connections that end before their sessions", { sessionMaxAgeMs: "3600000" }, "sessionMaxAgeMs"],
    ["a secret and a file with a secret", { jwtSecret: secret, jwtSecretFile: "x" }, "leave one out"],
    ["a NATS certificate without its key", { natsTlsCertFile: "a.pem" }, "natsTlsKeyFile"],
    ["a NATS password without a user", { natsPassword: "hunter2" }, "natsUser"],
    [
      "a NATS password and a file with it",
      { natsUser: "u", natsPassword: "hunter2", natsPasswordFile: "x" },
      "leave one out",
    ],
    ["NATS without a database that nodes share", { natsUrl: "nats://a" }, "PARLANCE_DATABASE_URL"],
    ["several workers on an SQLite file", { workers: "2" }, "PARLANCE_DATABASE_URL"],
    [
      "several workers that cannot reach each other",
      { workers: "auto", databaseUrl: "postgres://a/b" },
      "PARLANCE_NATS_URL",
    ],
    [
      "an admin port that others can reach without a token",
      { adminPort: "0", adminHost: "0.0.0.0" },
      "PARLANCE_ADMIN_TOKEN",
    ],
    [
      "an admin token and a file with one",
      { adminToken: "a token of 16 bytes", adminTokenFile: "x" },
      "leave one out",
    ],
  ])("%s", (_, options, part) => {
    expect(refusal({ options })).toContain(part);
  });

  test("a file that is not there, not JSON or not an object", () => {
    expect(refusal({ file: join(folder, "none.json") })).toMatch(/cannot be read: .*ENOENT/);
    expect(refusal({ file: fileWith("port: 1") })).toMatch(/is not JSON/);
    expect(refusal({ file: fileWith("[1]") })).toMatch(/one JSON object/);
  });
});

test("names of options and variables follow from the setting's", () => {
  expect(optionOf("maxConnectionAgeMs")).toBe("--max-connection-age-ms");
  expect(variableOf("maxConnectionAgeMs")).toBe("PARLANCE_MAX_CONNECTION_AGE_MS");
});
