/** Writes `docs/settings.md` from the table of settings: `npm run docs`. */

import { writeFileSync } from "node:fs";
import { optionOf, type Setting, settings, variableOf } from "../src/config/settings.ts";

const intro = `# Settings

<!-- Written by \`npm run docs\` from src/config/settings.ts. Do not edit. -->

A setting is looked for in four places; the first that has it counts:

1. an option of \`parlance serve\`, such as \`--port 50052\`; flags are \`--reflection\` and \`--no-reflection\`,
2. an environment variable, such as \`PARLANCE_PORT=50052\`; an empty one counts as absent,
3. a JSON file named by \`--config\` or \`PARLANCE_CONFIG\`, such as \`{ "port": 50052, "reflection": false }\`,
4. its default.

A setting that is unknown or has a wrong value ends the server at once with one line that names it. Some
rules concern several settings:

- With \`auth\` = \`dev\` anyone can log in as anybody, so the server then listens on loopback addresses only. To
  serve others, set \`PARLANCE_AUTH=jwt\` and \`PARLANCE_JWT_SECRET\`.
- A server that others can reach needs \`tlsCertFile\` and \`tlsKeyFile\`, or \`allowInsecure\` = \`plain-text\` where a
  proxy before it has the certificate.
- \`sessionMaxAgeMs\` < \`maxConnectionAgeMs\`, \`maxContentBytes\` + 32,768 ≤ \`maxRequestBytes\` ≤ \`outboxMaxBytes\`.
- \`natsUrl\` needs \`databaseUrl\`; more than one worker needs both; an \`adminHost\` that others can reach needs
  \`adminToken\`.

| name | default | values | what it does |
| --- | --- | --- | --- |
`;

/** Returns the page's text. */
export function settingsPage(): string {
  const rows = Object.entries<Setting<unknown>>(settings).map(([name, setting]) =>
    [
      `\`${name}\`<br>\`${optionOf(name)}\`<br>\`${variableOf(name)}\``,
      setting.default === undefined ? "none" : `\`${setting.default}\``,
      setting.allowed + (setting.unit ? `, in ${unitNames[setting.unit]}` : ""),
      setting.description,
    ].join(" | "),
  );
  return `${intro}${rows.map((row) => `| ${row} |\n`).join("")}`;
}

const unitNames = { ms: "milliseconds", s: "seconds", bytes: "bytes" };

if (import.meta.main) writeFileSync("docs/settings.md", settingsPage());
