// Plays the predicted world beside the real game. Everything it shows is in the JSON of the page.
"use strict";
(() => {
  const player = document.querySelector(".player");
  const data = JSON.parse(document.getElementById("game").textContent);
  const picture = player.querySelector("svg");
  const button = player.querySelector("button");
  const slider = player.querySelector("input");
  const clock = player.querySelector("output");
  const TRAIL = 45;
  const drawn = data.worlds.map((world) => {
    const make = (tag, name) => {
      const node = document.createElementNS(picture.namespaceURI, tag);
      node.setAttribute("class", name);
      picture.append(node);
      return node;
    };
    return { world, trail: make("polyline", "line trail " + world.style), dot: make("circle", world.style) };
  });
  drawn.forEach(({ dot, world }) => dot.setAttribute("r", world.style.includes("predicted") ? 10 : 5.5));

  const at = (world, i) => [(world.x[i] - data.left) * data.scale, (data.top - world.y[i]) * data.scale];
  let frame = 0;
  let started = null;

  function show(next) {
    frame = next;
    for (const { world, trail, dot } of drawn) {
      const [x, y] = at(world, frame);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      const points = [];
      for (let i = Math.max(0, frame - TRAIL); i <= frame; i++) points.push(at(world, i).map((v) => v.toFixed(1)).join());
      trail.setAttribute("points", points.join(" "));
    }
    for (const cell of player.querySelectorAll("[data-world]")) {
      const { world, field } = cell.dataset;
      const value = data.worlds[world][field][frame];
      cell.textContent = field === "action" ? data.actions[value] ?? value : value;
    }
    slider.value = frame;
    const seconds = ((frame + 1) / data.fps).toFixed(2) + " s";
    slider.setAttribute("aria-valuetext", seconds);
    clock.textContent = seconds;
  }

  function stop() {
    started = null;
    button.textContent = "Play";
  }

  function tick(now) {
    if (started === null) return;
    const next = Math.floor(((now - started) * data.fps) / 1000);
    if (next >= data.frames - 1) {
      show(data.frames - 1);
      stop();
      return;
    }
    if (next > frame) show(next);
    requestAnimationFrame(tick);
  }

  button.addEventListener("click", () => {
    if (started !== null) {
      stop();
      return;
    }
    if (frame >= data.frames - 1) show(0);
    started = performance.now() - (frame * 1000) / data.fps;
    button.textContent = "Pause";
    requestAnimationFrame(tick);
  });
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
  slider.max = data.frames - 1;
  player.classList.add("live");
  player.querySelector(".controls").hidden = false;
  show(0);
})();
