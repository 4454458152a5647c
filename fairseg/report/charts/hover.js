// Names the dot under the pointer, or the one that arrow keys step to; a click marks a subject in all charts.
"use strict";
(() => {
  const block = document.getElementById("chart-data");
  if (!block) return;
  const { names, series } = JSON.parse(block.textContent);
  const make = (css, parent) => {
    const part = document.createElement("div");
    part.className = css;
    parent.append(part);
    return part;
  };
  const tip = make("tip", document.body);
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  const live = make("sr", document.body);
  live.setAttribute("role", "status");

  // A path's dots: x, y in its own units, and who they are.
  const known = new Map();
  const read = (path) => {
    if (!known.has(path)) {
      const xy = path.getAttribute("d").replace(/h0/g, " ").match(/\d+/g).map(Number);
      let who = 0;
      known.set(path, path.dataset.s.split(" ").map((step, i) => (
        { path, x: xy[2 * i], y: xy[2 * i + 1], who: (who += +step) })));
    }
    return known.get(path);
  };
  const paths = (root) => [...root.querySelectorAll("path.dots")];

  const lines = ({ path, who }) => [names[who], path.dataset.g, ...path.dataset.k.split(" ").map((k) => {
    const [title, digits, values] = series[k];
    return title + ": " + (values[who] / 10 ** digits).toFixed(digits);
  })];

  // A ring around the dot that is told, and around the subject that is marked.
  const ring = (dot, css) => {
    const mark = dot.path.cloneNode(false);
    mark.setAttribute("class", css);
    mark.setAttribute("d", `M${dot.x} ${dot.y}m-55 0a55 55 0 1 0 110 0a55 55 0 1 0-110 0`);
    dot.path.parentNode.append(mark);
  };
  const clear = (css) => document.querySelectorAll("." + css).forEach((mark) => mark.remove());

  const hide = () => {
    tip.hidden = true;
    clear("ring");
  };
  const show = (dot) => {
    hide();
    ring(dot, "ring");
    tip.replaceChildren();
    lines(dot).forEach((line, i) => { make(i ? "" : "who", tip).textContent = line; });
    tip.hidden = false;
    const at = new DOMPoint(dot.x, dot.y).matrixTransform(dot.path.getScreenCTM());
    const left = at.x + 14 + tip.offsetWidth > innerWidth ? at.x - 14 - tip.offsetWidth : at.x + 14;
    tip.style.left = Math.max(4, left) + "px";
    tip.style.top = Math.max(4, Math.min(at.y + 12, innerHeight - tip.offsetHeight - 4)) + "px";
  };
  const mark = (who) => {
    clear("mark");
    for (const path of paths(document)) {
      const dot = read(path).find((other) => other.who === who);
      if (dot) ring(dot, "mark");
    }
  };

  for (const chart of document.querySelectorAll(".chart")) {
    const all = paths(chart);
    if (!all.length) continue;
    let now = null;
    const nearest = (event) => {
      let best = null;
      let least = 18 ** 2; // pixels of the screen
      const to = all[0].getScreenCTM();
      for (const path of all) {
        for (const dot of read(path)) {
          const far = (dot.x * to.a + to.e - event.clientX) ** 2 + (dot.y * to.d + to.f - event.clientY) ** 2;
          if (far < least) [best, least] = [dot, far];
        }
      }
      return best;
    };
    const tell = (dot) => {
      now = dot;
      if (dot) show(dot); else hide();
    };
    // The browser's own tooltip would cover ours: the name moves from the picture to beside it.
    const title = chart.querySelector("title");
    const name = make("sr", chart);
    name.id = title.id;
    name.textContent = title.textContent;
    title.remove();
    chart.setAttribute("role", "application");
    chart.ariaLabel += ". Arrow keys step through the subjects, Enter marks one in all charts.";
    chart.addEventListener("mousemove", (event) => tell(nearest(event)));
    chart.addEventListener("mouseleave", hide);
    chart.addEventListener("blur", hide);
    chart.addEventListener("click", (event) => {
      tell(nearest(event));
      if (now) mark(now.who); else clear("mark");
    });
    chart.addEventListener("keydown", (event) => {
      const sideways = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const across = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" && now) mark(now.who);
      if (!sideways && !across) return;
      event.preventDefault();
      const row = now ? (all.indexOf(now.path) + (across || 0) + all.length) % all.length : 0;
      const dots = [...read(all[row])].sort((a, b) => a.x - b.x || a.y - b.y);
      // Along a group one dot on; into another group to the dot that is as far right.
      const place = !now ? 0 : across ? dots.filter((dot) => dot.x < now.x).length : dots.indexOf(now) + sideways;
      tell(dots[Math.min(Math.max(place, 0), dots.length - 1)]);
      live.textContent = lines(now).join(", ");
    });
  }
  addEventListener("scroll", hide, true);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hide();
      clear("mark");
    }
  });
})();
