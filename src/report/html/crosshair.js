"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg", GRID = 10000;
  const clock = (s) => {
    s = Math.round(s);
    const two = (n) => String(n).padStart(2, "0");
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h ? h + ":" + two(m) + ":" + two(s % 60) : m + ":" + two(s % 60);
  };
  const number = (v) => Number(v.toPrecision(3)).toLocaleString("en");
  const percentile = (x) => Number((100 - 100 / x).toPrecision(Math.ceil(Math.log10(x)) + 2)) + " %";
  // From the foot of an axis to its end; those of percentiles and latencies are logarithmic.
  const value = (kind, low, high, share) =>
    kind === "log" || kind === "percentile" ? low * Math.pow(high / low, share) : low + (high - low) * share;
  // A path has "M x y" for the first point of a stretch, and "l dx dy" for each further one.
  const points = (path) => {
    const found = [];
    let x = 0, y = 0;
    for (const [, move, a, b] of path.getAttribute("d").matchAll(/([Ml])(-?\d+) (-?\d+)/g)) {
      x = move === "M" ? +a : x + +a;
      y = move === "M" ? +b : y + +b;
      found.push([x, y]);
    }
    return found;
  };
  const nearest = (list, x) => {
    let low = 0, high = list.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle][0] < x) low = middle + 1; else high = middle;
    }
    return low > 0 && x - list[low - 1][0] < list[low][0] - x ? low - 1 : low;
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const chart = plot.querySelector("svg"), data = plot.dataset;
    const lines = [...chart.querySelectorAll("path")].map((path) => ({ name: path.dataset.name, at: points(path) }));
    const places = [...new Set(lines.flatMap((line) => line.at.map((point) => point[0])))].sort((a, b) => a - b).map((x) => [x]);
    if (!places.length) continue;
    const hair = document.createElementNS(SVG, "line");
    hair.setAttribute("class", "hair");
    hair.setAttribute("y1", "0");
    hair.setAttribute("y2", "100%");
    hair.style.display = "none";
    chart.append(hair);
    const readOut = document.createElement("output");
    readOut.className = "read-out";
    plot.after(readOut);
    plot.tabIndex = 0;
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", "Figures by the arrow keys: " + plot.parentElement.querySelector("h3").textContent);
    let chosen = -1;
    const show = (place) => {
      chosen = Math.max(0, Math.min(places.length - 1, place));
      const [x] = places[chosen];
      for (const end of ["x1", "x2"]) hair.setAttribute(end, (100 * x) / GRID + "%");
      hair.style.display = "";
      const at = value(data.x, +data.x0, +data.x1, x / GRID);
      const told = lines.map((line) => {
        const point = line.at.length && line.at[nearest(line.at, x)];
        const known = point && point[0] === x;
        return line.name + " " + (known ? number(value(data.y, +data.y0, +data.y1, 1 - point[1] / GRID)) : "-");
      });
      readOut.textContent = (data.x === "time" ? clock(at) : percentile(at)) + ": " + told.join(", ") + " (" + data.unit + ")";
    };
    const hide = () => {
      hair.style.display = "none";
      readOut.textContent = "";
      chosen = -1;
    };
    plot.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      show(nearest(places, ((event.clientX - box.left) / box.width) * GRID));
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const last = places.length - 1, step = event.shiftKey ? 10 : 1;
      const to = { ArrowLeft: chosen < 0 ? last : chosen - step, ArrowRight: chosen + step, Home: 0, End: last }[event.key];
      if (event.key === "Escape") hide();
      else if (to !== undefined) {
        show(to);
        event.preventDefault();
      }
    });
  }
})();
