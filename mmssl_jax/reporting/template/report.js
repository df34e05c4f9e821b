"use strict";
(() => {
  const all = (query) => [...document.querySelectorAll(query)];
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const views = [];

  // A value for every chart that has a signal of this name.
  const set = (name, value) => {
    for (const view of views) {
      if (name in view.getState({ signals: (each) => each === name }).signals) {
        view.signal(name, value).runAsync();
      }
    }
  };

  const drawn = all("[data-chart]").map(async (place) => {
    const options = { actions: false, renderer: "svg", ast: true, tooltip: { theme: "custom" } };
    const result = await window.vegaEmbed(place, specs[place.dataset.chart], options);
    views.push(result.view);
  });
  Promise.all(drawn).then(() => document.body.setAttribute("data-drawn", ""));

  // Selects of the same signal go together.
  all("select[data-signal]").forEach((select) => {
    select.addEventListener("change", () => {
      all(`select[data-signal="${select.dataset.signal}"]`).forEach((other) => {
        other.value = select.value;
      });
      set(select.dataset.signal, select.value);
    });
  });

  const boxes = all("input[data-run]");
  boxes.forEach((box) => {
    box.addEventListener("change", () => {
      set("hidden", boxes.filter((each) => !each.checked).map((each) => each.dataset.run));
    });
  });

  // Without scripts all panels are shown; with them the chosen one.
  all("select[data-panels]").forEach((select) => {
    const show = () => {
      all(`[data-panel="${select.dataset.panels}"]`).forEach((panel) => {
        panel.hidden = panel.dataset.index !== select.value;
      });
    };
    select.addEventListener("change", show);
    show();
  });

  const button = document.getElementById("theme");
  const asked = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null; // until somebody presses the button, the system says
  const apply = () => {
    const dark = chosen === null ? asked.matches : chosen;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
    button.textContent = dark ? "Light" : "Dark";
  };
  button.addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme !== "dark";
    apply();
  });
  asked.addEventListener("change", apply);
  apply();
})();
