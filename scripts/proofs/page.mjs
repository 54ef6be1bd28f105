// What a browser says of a page: node page.mjs PAGE BROWSER, in a folder with axe-core and playwright-core. Prints one JSON object.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [page, executablePath] = process.argv.slice(2);
const quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", ...quiet] });
const complaints = [];
let views = 0;

async function open(options, look) {
  const context = await browser.newContext(options);
  const tab = await context.newPage();
  const where = JSON.stringify(options);
  tab.on("console", (message) => complaints.push(`${where}: ${message.text()}`));
  tab.on("pageerror", (error) => complaints.push(`${where}: ${error}`));
  tab.on("request", (request) => request.url() === `file://${page}` || complaints.push(`${where}: asks for ${request.url()}`));
  await tab.goto(`file://${page}`);
  const seen = await look(tab, where);
  await context.close();
  return seen;
}

for (const width of [400, 900, 1400]) {
  for (const colorScheme of ["light", "dark"]) {
    await open({ viewport: { width, height: 900 }, colorScheme }, async (tab, where) => {
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) complaints.push(`${where}: is ${wide} wide`);
      // Labels of one axis that lie over each other.
      const over = await tab.evaluate(() =>
        [...document.querySelectorAll(".chart")].flatMap((chart) =>
          ["text.tick.x", "text.tick.y", "text.phase", "text.limit"].flatMap((labels) => {
            const boxes = [...chart.querySelectorAll(labels)].map((label) => label.getBoundingClientRect()).filter((box) => box.width);
            const lies = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom - 3 && b.top < a.bottom - 3;
            const is_over = boxes.some((a, n) => boxes.slice(n + 1).some((b) => lies(a, b)));
            return is_over ? [`${labels} of ${chart.closest("figure").id}`] : [];
          }),
        ),
      );
      complaints.push(...over.map((labels) => `${where}: labels lie over each other: ${labels}`));
      await tab.evaluate(axe);
      const { violations } = await tab.evaluate(() => globalThis.axe.run(document));
      complaints.push(...violations.map((violation) => `${where}: ${violation.id}: ${violation.nodes[0].html.slice(0, 200)}`));
      views += 1;
    });
  }
}

const drawn = (tab) => tab.evaluate(() => [...document.querySelectorAll("figure .chart")].filter((chart) => chart.getBoundingClientRect().height > 100).length);
const charts_without_script = await open({ javaScriptEnabled: false }, async (tab) => {
  const figures = await tab.locator("figure .chart").all();
  const boxes = await Promise.all(figures.map((figure) => figure.boundingBox()));
  return boxes.filter((box) => box.height > 100).length;
});
const seen = await open({ viewport: { width: 1400, height: 900 } }, async (tab) => {
  const charts = await drawn(tab);
  let [by_pointer, by_keyboard] = [0, 0];
  for (const plot of await tab.locator(".plot").all()) {
    const readOut = plot.locator("xpath=following-sibling::output");
    await plot.scrollIntoViewIfNeeded();
    const box = await plot.locator(".chart").boundingBox();
    await tab.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    by_pointer += (await readOut.textContent()) !== "";
    await tab.mouse.move(0, 0);
    await plot.focus();
    await tab.keyboard.press("ArrowRight");
    const first = await readOut.textContent();
    await tab.keyboard.press("End");
    by_keyboard += first !== "" && (await readOut.textContent()) !== "";
    await tab.keyboard.press("Escape");
  }
  return { charts, by_pointer, by_keyboard };
});
const printed_bytes = await open({ colorScheme: "dark" }, async (tab) => (await tab.pdf({ format: "A4" })).length);
await browser.close();
console.log(JSON.stringify({ views, complaints, ...seen, charts_without_script, printed_bytes }));
