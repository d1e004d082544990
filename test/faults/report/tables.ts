import { readFileSync, writeFileSync } from "node:fs";
import type { Result, Results } from "./results.ts";
import { type SectionName, sectionNames, subjects } from "./sections.ts";

/** The page whose tables these are. */
export const page = "docs/reliability.md";

/** Puts the tables of all results into the page, in place of those before. */
export function writeTables(results: Results): void {
  writeFileSync(page, withTables(readFileSync(page, "utf8"), results));
}

/** Returns the page's text with the tables of these results between its marks. */
export function withTables(text: string, results: Results): string {
  return sectionNames.reduce((page, section) => {
    const [before, rest] = split(page, `<!-- ${section} -->`);
    const [, after] = split(rest, `<!-- /${section} -->`);
    const table = tableOf(section, results[section]);
    return `${before}<!-- ${section} -->\n\n${table}\n\n<!-- /${section} -->${after}`;
  }, text);
}

function tableOf(section: SectionName, results: readonly Result[]): string {
  const [what, columns] =
    section === "planted"
      ? ["| # | mistake | caught by | runs | s |", "| --: | --- | --- | --: | --: |"]
      : [
          "| # | fault | what is done | rounds | violations | figure | s |",
          "| --- | --- | --- | --: | --: | --- | --: |",
        ];
  const lines = results.map((result) => {
    const { id, name, title } = subjectOf(section, result);
    const { rounds, violations, figure, seconds, skipped } = result;
    const cells =
      section === "planted"
        ? [id, title, skipped === undefined ? figure : `not run: ${skipped}`, rounds, seconds]
        : [
            ...[id, `\`${name}\``, title],
            ...(skipped === undefined ? [rounds, violations, figure] : ["not run", "", skipped]),
            seconds,
          ];
    return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return [originsOf(section, results), "", what, columns, ...lines].join("\n");
}

/** Tells of what the rows were made: what most have in common, then what the others have. */
function originsOf(section: SectionName, results: readonly Result[]): string {
  const groups = Map.groupBy(
    results,
    ({ date, commit, machine, seed }) => `${date}, commit ${commit}, ${machine}, seed ${seed}`,
  );
  const minutes = Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) / 60);
  const [[most] = ["nothing yet"], ...others] = [...groups].sort(([, a], [, b]) => b.length - a.length);
  const exceptions = others.map(
    ([origin, rows]) => `${rows.map((row) => subjectOf(section, row).id).join(", ")}: ${origin}.`,
  );
  return [`${most}; ${minutes} minutes in all.`, ...exceptions].join(" ");
}

function subjectOf(section: SectionName, { name }: Result) {
  return subjects[section].find((subject) => subject.name === name) ?? { id: "?", name, title: "no more" };
}

function split(text: string, mark: string): [before: string, after: string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new Error(`${page} has no ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}
