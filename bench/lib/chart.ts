/** Draws what was measured, without a library: two axes, lines and a legend. */

/** A line of a chart. */
export interface Series {
  name: string;
  points: ReadonlyArray<{ x: number; y: number }>;
}

/** What a chart shows. */
export interface Chart {
  title: string;
  xLabel: string;
  yLabel: string;
  series: readonly Series[];
}

const width = 720;
const height = 400;
const plot = { left: 100, right: 24, top: 48, bottom: 56 };
/** Told apart by those who see colours differently, too. */
const colors = ["#0072b2", "#d55e00", "#009e73"];
const dashes = ["none", "6 4", "2 3"];

/** Returns a chart as SVG, with a logarithmic x axis and a y axis from 0. */
export function chartSvg({ title, xLabel, yLabel, series }: Chart): string {
  const points = series.flatMap(({ points }) => points);
  const xs = points.map(({ x }) => x);
  const minX = Math.min(...xs);
  const maxX = Math.max(...xs);
  const maxY = niceAbove(Math.max(...points.map(({ y }) => y)));
  const right = width - plot.right;
  const bottom = height - plot.bottom;
  const toX = (x: number) => plot.left + (Math.log(x / minX) / Math.log(maxX / minX)) * (right - plot.left);
  const toY = (y: number) => bottom - (y / maxY) * (bottom - plot.top);

  const yTicks = [0, 1, 2, 3, 4].map((i) => {
    const y = toY((maxY * i) / 4);
    return `<path class="grid" d="M${plot.left} ${y}H${right}"/>${text(plot.left - 8, y + 4, figure((maxY * i) / 4), "end")}`;
  });
  const xTicks = [...new Set(xs)].map((x) => text(toX(x), bottom + 20, figure(x), "middle"));
  const lines = series.map(({ name, points }, i) => {
    const style = `stroke="${colors[i]}" stroke-dasharray="${dashes[i]}"`;
    const path = points.map(({ x, y }) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("L");
    const dots = points.map(
      ({ x, y }) =>
        `<circle cx="${toX(x).toFixed(1)}" cy="${toY(y).toFixed(1)}" r="3.5" fill="${colors[i]}"/>`,
    );
    const legendY = plot.top + 4 + i * 18;
    return `<path fill="none" stroke-width="2" ${style} d="M${path}"/>${dots.join("")}
<path stroke-width="2" ${style} d="M${plot.left + 12} ${legendY}h28"/>${text(plot.left + 48, legendY + 4, name, "start")}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">
<style>text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}.grid{stroke:#ddd}</style>
<rect width="${width}" height="${height}" fill="#fff"/>
<text class="title" x="${plot.left}" y="26">${escaped(title)}</text>
${yTicks.join("\n")}
${xTicks.join("\n")}
${text((plot.left + right) / 2, height - 14, xLabel, "middle")}
<text transform="translate(16 ${(plot.top + bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(yLabel)}</text>
${lines.join("\n")}
</svg>
`;
}

function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

/** Returns the least number above a value that a quarter of is round. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8].find((step) => step * power >= value) ?? 10) * power;
}

function figure(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
