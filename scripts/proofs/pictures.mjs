// Pictures of parts of a page: node pictures.mjs PAGE BROWSER ID=FILE..., in a folder with playwright-core. The id `head` is all above the first chart.
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.cwd(), "package.json"))("playwright-core");
const [page, executablePath, ...wanted] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const tab = await (await browser.newContext({ viewport: { width: 860, height: 900 }, colorScheme: "light" })).newPage();
await tab.goto(`file://${page}`);
for (const [id, path] of wanted.map((pair) => pair.split("="))) {
  if (id === "head") {
    const box = await tab.locator("#latency").boundingBox();
    await tab.screenshot({ path, clip: { x: 0, y: 0, width: 860, height: box.y }, fullPage: true });
  } else {
    await tab.locator(`figure#${id}`).screenshot({ path });
  }
}
await browser.close();
