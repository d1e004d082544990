/** What can be said of the files in `deploy/` without running what they are for. */

import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { settings, variableOf } from "../../src/config/settings.ts";
import { comingSettings, deployFiles, parseYaml, readYaml, variablesIn, whyMissing } from "./files.ts";

const packageJson = JSON.parse(readFileSync("package.json", "utf8"));
const read = (path: string) => readFileSync(path, "utf8");

describe("every file of deploy/", () => {
  test.for(deployFiles().filter((path) => path.endsWith(".yaml") && !path.includes("/templates/")))(
    "%s is sound YAML",
    (path) => {
      expect(parseYaml(read(path))).toHaveLength(1);
    },
  );

  test("names only settings that exist", () => {
    const known = new Set([...Object.keys(settings), ...comingSettings].map(variableOf));
    const unknown = deployFiles().flatMap((path) =>
      variablesIn(read(path))
        .filter((variable) => !known.has(variable))
        .map((variable) => `${path}: ${variable}`),
    );
    expect(unknown).toEqual([]);
  });

  test("is told of in deploy/README.md", () => {
    const page = read("deploy/README.md");
    const folders = [...new Set(deployFiles().map((path) => path.split("/")[1] as string))];
    expect(folders.filter((name) => name !== "README.md" && !page.includes(name))).toEqual([]);
  });
});

describe("the Dockerfile", () => {
  const lines = read("deploy/docker/Dockerfile").split("\n");
  const copied = lines
    .filter((line) => line.startsWith("COPY ") && !line.includes("--from="))
    .flatMap((line) => line.split(" ").slice(1, -1));

  test("copies what is there", () => {
    expect(copied.length).toBeGreaterThan(0);
    expect(copied.filter((path) => !existsSync(path))).toEqual([]);
  });

  test("is sent all it copies, and nothing else", () => {
    const sent = read("deploy/docker/Dockerfile.dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    expect(new Set(sent)).toEqual(new Set(copied));
  });

  test("starts the package's command, with a Node the package runs on", () => {
    const entry = JSON.parse(lines.find((line) => line.startsWith("ENTRYPOINT "))?.slice(11) ?? "");
    expect(entry).toEqual(["node", `/app/${packageJson.bin.parlance}`]);
    const [, major] = /^ARG NODE_IMAGE=node:(\d+)-/m.exec(lines.join("\n")) ?? [];
    expect(packageJson.devDependencies.node).toMatch(`^${major}.`);
  });

  test("copies everything that building takes", () => {
    const { include } = JSON.parse(read("tsconfig.build.json"));
    for (const path of [...include, "scripts/build.ts", "gen", "clients/web"]) {
      expect(copied).toContain(path.split("/")[0]);
    }
  });
});

/** What the settings of a node are in the end, once an operator has filled in the secrets. */
function configOf(environment: Record<string, string>) {
  const filled = Object.entries(environment).map(([name, value]) => [
    name,
    String(value).replace(/\$\{\w+:\?.*?\}/g, randomBytes(32).toString("hex")),
  ]);
  return loadConfig({ env: Object.fromEntries(filled) });
}

/** The settings that the image has by itself. */
function imageEnvironment(): Record<string, string> {
  const assignments = read("deploy/docker/Dockerfile").matchAll(/\b(PARLANCE_\w+)=(\S+)/g);
  return Object.fromEntries([...assignments].map(([, name, value]) => [name, value]));
}

interface Compose {
  services: Record<
    string,
    { volumes?: string[]; stop_grace_period?: string; environment?: Record<string, string>; ports?: string[] }
  >;
}

describe("the compose files", () => {
  const files = ["deploy/compose.yaml", "deploy/compose.cluster.yaml"];

  test.for(files)("%s gives nodes longer to stop than they take", (path) => {
    const nodes = Object.entries(readYaml<Compose>(path).services).filter(([name]) => /^parlance/.test(name));
    expect(nodes.length).toBeGreaterThan(0);
    for (const [, { stop_grace_period = "0" }] of nodes) {
      expect(Number.parseInt(stop_grace_period, 10) * 1_000).toBeGreaterThan(settings.drainGraceMs.default);
    }
  });

  test.for(files)(
    "%s gives nodes settings that go together, and the image alone asks how to be reached",
    (path) => {
      const image = imageEnvironment();
      expect(() => configOf({ ...image, PARLANCE_JWT_SECRET: `\${A:?}` })).toThrow("PARLANCE_ALLOW_INSECURE");
      const nodes = Object.entries(readYaml<Compose>(path).services).filter(([name]) =>
        /^parlance/.test(name),
      );
      for (const [, { environment = {} }] of nodes)
        expect(configOf({ ...image, ...environment })).toMatchObject({
          host: "0.0.0.0",
          allowInsecure: "plain-text",
        });
    },
  );

  test("mount files that are there", () => {
    const mounted = files.flatMap((path) =>
      Object.values(readYaml<Compose>(path).services)
        .flatMap(({ volumes = [] }) => volumes)
        .filter((volume) => volume.startsWith("./"))
        .map((volume) => join("deploy", volume.split(":")[0] as string)),
    );
    // The certificate is the operator's.
    expect(mounted.filter((path) => !existsSync(path))).toEqual(["deploy/certs"]);
  });

  test("the nodes of the cluster are those that nginx and Envoy know", () => {
    const { services } = readYaml<Compose>("deploy/compose.cluster.yaml");
    const nodes = Object.keys(services).filter((name) => name.startsWith("parlance-"));
    for (const name of nodes) expect(services[name]?.environment?.["PARLANCE_NODE"]).toBe(name);
    for (const path of ["deploy/nginx/parlance.conf", "deploy/envoy/envoy.yaml"]) {
      expect(new Set(read(path).match(/\bparlance-\d\b/g))).toEqual(new Set(nodes));
    }
  });

  test("the cluster's example of secrets names all that have to be given", () => {
    const needed = read("deploy/compose.cluster.yaml").matchAll(/\$\{([A-Z_]+):\?/g);
    const given = read("deploy/cluster.env.example").matchAll(/^([A-Z_]+)=$/gm);
    expect(new Set([...given].map(([, name]) => name))).toEqual(new Set([...needed].map(([, name]) => name)));
  });
});

describe("the proxies", () => {
  const { sessionMaxAgeMs, maxConnectionAgeMs, pingIntervalMs, keepaliveIdleTimeMs, maxConnectionIdleMs } =
    settings;
  const nginx = read("deploy/nginx/parlance.conf");
  const envoy = read("deploy/envoy/envoy.yaml");
  const ms = (text: string, pattern: RegExp) => {
    const [, number, unit] = pattern.exec(text) ?? [];
    return Number(number) * (unit === "m" ? 60_000 : 1_000);
  };

  test("wait longer than clients and nodes are silent", () => {
    expect(ms(nginx, /client_body_timeout (\d+)(s|m);/)).toBeGreaterThan(2 * pingIntervalMs.default);
    expect(ms(nginx, /grpc_read_timeout (\d+)(s|m);/)).toBeGreaterThan(2 * keepaliveIdleTimeMs.default);
    expect(ms(nginx, /proxy_read_timeout (\d+)(s|m);/)).toBeGreaterThan(sessionMaxAgeMs.default);
  });

  test("put no stream on a connection that ends before it", () => {
    for (const ageMs of [
      ms(nginx, /keepalive_time (\d+)(s|m);/),
      ms(envoy, /max_connection_duration: (\d+)(s|m)/),
    ]) {
      expect(ageMs).toBeGreaterThan(0);
      expect(ageMs + sessionMaxAgeMs.default).toBeLessThanOrEqual(maxConnectionAgeMs.default);
    }
  });

  test("leave idle connections before the nodes close them", () => {
    expect(ms(envoy, /idle_timeout: (240)(s|m)/)).toBeLessThan(maxConnectionIdleMs.default);
  });

  test("Envoy limits the time of no route", () => {
    const routes = [...envoy.matchAll(/^ +timeout: (\S+)$/gm)].filter(([line]) =>
      line.startsWith(" ".repeat(28)),
    );
    expect(routes.map(([, timeout]) => timeout)).toEqual(["0s", "0s"]);
  });

  test("every cluster that Envoy's routes name is there", () => {
    const { static_resources } = readYaml<{ static_resources: { clusters: { name: string }[] } }>(
      "deploy/envoy/envoy.yaml",
    );
    const named = [...envoy.matchAll(/^ +cluster: (\S+)$/gm)].map(([, name]) => name);
    expect(new Set(static_resources.clusters.map(({ name }) => name))).toEqual(new Set(named));
  });
});

describe("the systemd unit", () => {
  const unit = read("deploy/systemd/parlance.service");
  const lineOf = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(unit)?.[1];

  test("gives the node longer to stop than it takes, and starts it again after a failover", () => {
    expect(Number(lineOf("TimeoutStopSec")) * 1_000).toBeGreaterThan(settings.drainGraceMs.default);
    expect(lineOf("Restart")).toBe("always");
    expect(lineOf("RestartForceExitStatus")).toBe("75");
  });

  test("is one that systemd takes", ({ skip }) => {
    const missing = whyMissing("systemd-analyze", ["--version"], "it comes with systemd");
    skip(missing !== undefined, missing);
    const folder = mkdtempSync(join(tmpdir(), "parlance-unit-"));
    try {
      const path = join(folder, "parlance.service");
      copyFileSync("deploy/systemd/parlance.service", path);
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", path], { encoding: "utf8" });
      // It also tells of other units of the machine.
      const ours = stderr.split("\n").filter((line) => line.includes(basename(path)));
      expect({ status, ours }).toEqual({ status: 0, ours: [] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("the configuration of NATS", () => {
  test("is one that nats-server takes", ({ skip }) => {
    const missing = whyMissing("nats-server", ["--version"], "apt-get install nats-server");
    skip(missing !== undefined, missing);
    const env = { ...process.env, NATS_PASSWORD: "secret" };
    execFileSync("nats-server", ["-t", "-c", "deploy/nats/nats.conf"], { env, stdio: "pipe" });
  });
});

describe("the chart", () => {
  const chart = readYaml<{ version: string; appVersion: string }>("deploy/helm/parlance/Chart.yaml");
  const schema = JSON.parse(read("deploy/helm/parlance/values.schema.json"));
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(schema);
  const values = () => readYaml<Record<string, unknown>>("deploy/helm/parlance/values.yaml");

  test("is of the package's version", () => {
    expect(chart).toMatchObject({ version: packageJson.version, appVersion: packageJson.version });
  });

  test("has values that its schema takes, and a schema for each value", () => {
    expect(validate(values()), JSON.stringify(validate.errors)).toBe(true);
    const described = Object.keys(schema.properties).filter((name) => name !== "global");
    expect(new Set(described)).toEqual(new Set(Object.keys(values())));
  });

  test.for([
    { replicas: 0 },
    { replica: 3 },
    { settings: { databaseUrl: "postgres://user:password@host/db" } },
    { settings: { PARLANCE_MAX_SESSIONS: 5 } },
    { nats: { url: "nats://user:password@host" } },
    { jwt: { secret: { name: "s" } } },
    { ingress: { enabled: true, hosts: [] } },
  ])("refuses %j", (change) => {
    expect(validate({ ...values(), ...change })).toBe(false);
  });

  test("lets nobody put a secret or what it sets itself among the settings", () => {
    const { enum: kept } = schema.properties.settings.propertyNames.not as { enum: string[] };
    const deployment = read("deploy/helm/parlance/templates/deployment.yaml");
    const set = new Set(variablesIn(deployment));
    const doubled = [...Object.keys(settings), ...comingSettings].filter((name) => set.has(variableOf(name)));
    const secret = Object.entries(settings).filter(([, setting]) => setting.secret);
    for (const name of [...doubled, ...secret.map(([name]) => name)]) expect(kept).toContain(name);
  });
});
