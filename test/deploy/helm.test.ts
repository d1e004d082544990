/** The Helm chart, rendered. */

import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { helmCommand, helmInstallCommand } from "../../scripts/built-helm.ts";
import { settings, variableOf } from "../../src/config/settings.ts";
import { comingSettings, parseYaml, whyMissing } from "./files.ts";

const helmProgram = helmCommand();
const helmMissing = whyMissing(helmProgram, ["version"], helmInstallCommand);

/** What the chart needs to make a cluster. */
const cluster = {
  "jwt.secret.name": "jwt",
  "database.urlSecret.name": "database",
  "nats.url": "nats://nats:4222",
};

/** With all that can be turned on. */
const everything = {
  ...cluster,
  "nats.user": "parlance",
  "nats.passwordSecret.name": "nats",
  "nats.tlsSecret.name": "nats-tls",
  "nats.tlsSecret.clientCertificate": "true",
  "tls.secretName": "tls",
  "admin.tokenSecret.name": "admin",
  "ingress.enabled": "true",
  "ingress.hosts[0]": "chat.example.com",
  "drain.beforeStopSeconds": "7",
  "drain.moveSeconds": "120",
  "settings.maxSessions": "1000000",
  "settings.reflection": "false",
  "extraEnv[0].name": "NODE_OPTIONS",
  "podLabels.team": "chat",
  "nodeSelector.disk": "fast",
};

const alone = { "jwt.secret.name": "jwt", replicas: "1" };

// biome-ignore lint/suspicious/noExplicitAny: what Kubernetes takes has no types here
type Manifest = any;

function helm(values: Readonly<Record<string, string>>) {
  const sets = Object.entries(values).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  const args = ["template", "chat", "deploy/helm/parlance", "--kube-version", "1.31.0", ...sets];
  return spawnSync(helmProgram, args, { encoding: "utf8" });
}

/** Renders the chart and returns what it makes, by kind; a further one of a kind has a number after it. */
function render(values: Readonly<Record<string, string>>): Record<string, Manifest> {
  const { status, stdout, stderr } = helm(values);
  if (status !== 0) throw new Error(stderr);
  const made: Record<string, Manifest> = {};
  for (const manifest of parseYaml(stdout) as Manifest[]) {
    made[manifest.kind in made ? `${manifest.kind}2` : manifest.kind] = manifest;
  }
  return made;
}

describe("the chart", () => {
  test("makes a cluster, one node, and everything that can be turned on", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const common = ["Deployment", "Service", "Service2", "ServiceAccount"];
    expect(Object.keys(render(cluster)).sort()).toEqual([...common, "PodDisruptionBudget"].sort());
    expect(Object.keys(render(alone)).sort()).toEqual([...common, "PersistentVolumeClaim"].sort());
    expect(Object.keys(render(everything)).sort()).toEqual(
      [...common, "PodDisruptionBudget", "Ingress"].sort(),
    );
  });

  test.for([
    ["a cluster", cluster],
    ["one node", alone],
    ["everything", everything],
  ] as const)("has parts that fit together: %s", ([, values], { skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const { Deployment, Service, Service2, PodDisruptionBudget, Ingress } = render(values);
    const pod = Deployment.spec.template;
    const [container] = pod.spec.containers;

    for (const selector of [
      Deployment.spec.selector.matchLabels,
      Service.spec.selector,
      Service2.spec.selector,
      PodDisruptionBudget?.spec.selector.matchLabels ?? {},
    ]) {
      expect(pod.metadata.labels).toMatchObject(selector);
    }
    const ports = container.ports.map(({ name }: { name: string }) => name);
    for (const { targetPort } of [...Service.spec.ports, ...Service2.spec.ports]) {
      expect(ports).toContain(targetPort);
    }
    expect(Service.spec.clusterIP).toBe("None");
    if (Ingress) {
      const { service } = Ingress.spec.rules[0].http.paths[0].backend;
      expect(service.name).toBe(Service2.metadata.name);
    }

    const names = container.env.map(({ name }: { name: string }) => name);
    expect(new Set(names).size).toBe(names.length);
    const known = [...Object.keys(settings), ...comingSettings].map(variableOf);
    expect(names.filter((name: string) => name.startsWith("PARLANCE_") && !known.includes(name))).toEqual([]);
    for (const { value } of container.env) expect(["string", "undefined"]).toContain(typeof value);

    // Every file that a setting names lies in a volume that is mounted.
    const mounts = new Set(container.volumeMounts.map(({ mountPath }: Manifest) => mountPath));
    for (const { name, value } of container.env) {
      if (/^PARLANCE_.*_FILE$/.test(name)) expect(mounts).toContain(value.slice(0, value.lastIndexOf("/")));
    }
    const volumes = pod.spec.volumes.map(({ name }: { name: string }) => name);
    expect(container.volumeMounts.map(({ name }: Manifest) => name)).toEqual(volumes);
  });

  test("gives a pod longer to stop than its hook and its drain take", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    expect(render(cluster).Deployment.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(
      5 + 10,
    );
    const longest = { ...everything, "drain.graceMs": "30500" };
    const { spec } = render(longest).Deployment.spec.template;
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(7 + 120 + 31);
    const [container] = spec.containers;
    expect(container.lifecycle.preStop.exec.command.at(-1)).toBe(
      'sleep 7; timeout 120 node /app/dist/src/main.js admin drain "$PARLANCE_NODE" --wait',
    );
    expect(container.env).toContainEqual({ name: "PARLANCE_DRAIN_GRACE_MS", value: "30500" });
  });

  test("runs without rights it does not need, on a root that cannot be written", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const { spec } = render(cluster).Deployment.spec.template;
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
  });

  test("keeps the variables of service links away, which have names of settings", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    expect(render(cluster).Deployment.spec.template.spec.enableServiceLinks).toBe(false);
  });

  test("does not restart a node because its store is away", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const [container] = render(cluster).Deployment.spec.template.spec.containers;
    expect(container.readinessProbe.grpc).toEqual({ port: 50051 });
    expect(container.livenessProbe.httpGet.path).toBe("/healthz");
  });

  test("probes nodes with TLS over HTTPS, since probes of type grpc know no TLS", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const [container] = render(everything).Deployment.spec.template.spec.containers;
    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      expect(container[probe].httpGet).toMatchObject({ port: "http", scheme: "HTTPS" });
    }
  });

  test("writes large numbers as the server reads them", ({ skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const [container] = render(everything).Deployment.spec.template.spec.containers;
    expect(container.env).toContainEqual({ name: "PARLANCE_MAX_SESSIONS", value: "1000000" });
  });

  test.for([
    ["no secret for tokens", {}, "jwt.secret.name is not set"],
    ["several nodes on SQLite", { "jwt.secret.name": "jwt" }, "needs PostgreSQL"],
    ["several nodes without NATS", { ...cluster, "nats.url": "" }, "needs NATS"],
    ["NATS without a database", { ...alone, "nats.url": "nats://nats" }, "share a database"],
    ["a value that it does not know", { ...cluster, replica: "3" }, "replica"],
    [
      "two ways to log in at NATS",
      { ...cluster, "nats.passwordSecret.name": "a", "nats.credsSecret.name": "b" },
      "leave one out",
    ],
  ] as const)("refuses %s in words", ([, values, words], { skip }) => {
    skip(helmMissing !== undefined, helmMissing);
    const { status, stderr } = helm(values);
    expect(status).not.toBe(0);
    expect(stderr).toContain(words);
  });
});
