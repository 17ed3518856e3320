"use strict";
(() => {
  const audio = document.querySelector("audio");
  const now = document.querySelector(".now");
  const line = document.getElementById("timeline");
  const playhead = line.querySelector(".playhead");
  // Seconds: what is shown are those of the recording, what is played those of the audio.
  const offset = Number(document.body.dataset.offset);
  const from = Number(line.dataset.start);
  const until = Number(line.dataset.end);
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const STEP = 5;
  const NEAR = 12; // pixels beside a band that still are the band's
  const SLACK = 0.3; // seconds by which a player may miss where it was sent

  // The stretch that is played and ends by itself; null while the recording plays on.
  let stretch = null;

  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (value) => String(value).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(whole % 60)}`;
  };

  const show = () => {
    const part = (audio.currentTime + offset - from) / (until - from);
    const place = `${100 * Math.min(1, Math.max(0, part || 0))}%`;
    playhead.setAttribute("x1", place);
    playhead.setAttribute("x2", place);
  };

  const mark = () => {
    for (const one of document.querySelectorAll("[data-name]")) {
      const { start, end, name } = one.dataset;
      const sounds =
        !audio.paused && stretch !== null && start === stretch.start && end === stretch.end;
      one.classList.toggle("playing", sounds);
      if (one.localName === "button") {
        one.setAttribute("aria-label", `${sounds ? "Pause" : "Play"} ${name}`);
      }
    }
  };

  const stopAtItsEnd = () => {
    if (stretch === null || audio.paused || audio.currentTime < Number(stretch.end)) return;
    audio.pause();
    now.textContent = `Stopped at the end of ${stretch.name}.`;
    stretch = null;
  };

  const start = () => {
    audio.play().catch(() => {
      now.textContent = "This browser does not play the sound.";
    });
  };

  const press = (one) => {
    const { start: begin, end, name } = one.dataset;
    const same = stretch !== null && stretch.start === begin && stretch.end === end;
    if (same && !audio.paused) {
      audio.pause();
      now.textContent = `Paused in ${name}.`;
      return;
    }
    if (!same) audio.currentTime = Number(begin);
    stretch = { start: begin, end, name };
    now.textContent = `Playing ${name}.`;
    start();
  };

  const seek = (seconds) => {
    stretch = null;
    audio.currentTime = Math.min(audio.duration || until, Math.max(0, seconds));
    now.textContent = `At ${clock(audio.currentTime + offset)}.`;
    mark();
    show();
  };

  // A band of seconds in a recording of hours is narrower than a finger.
  const nearestBand = (row, x) => {
    let nearest = null;
    let least = NEAR;
    for (const band of row.parentNode.querySelectorAll(".band")) {
      const box = band.getBoundingClientRect();
      const away = Math.max(box.left - x, x - box.right, 0);
      if (away <= least) [nearest, least] = [band, away];
    }
    return nearest;
  };

  line.addEventListener("click", (event) => {
    const row = event.target.closest(".row, .band");
    const band = row && nearestBand(row, event.clientX);
    if (band) {
      press(band);
      return;
    }
    const box = line.getBoundingClientRect();
    seek(from + ((event.clientX - box.left) / box.width) * (until - from) - offset);
  });

  for (const button of document.querySelectorAll("button.play")) {
    button.addEventListener("click", () => press(button));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("audio")) return;
    if (event.key === " " && !event.target.closest("button, a, summary")) {
      event.preventDefault();
      if (audio.paused) start();
      else audio.pause();
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      seek(audio.currentTime + (event.key === "ArrowLeft" ? -STEP : STEP));
    }
  });

  audio.addEventListener("seeking", () => {
    const time = audio.currentTime;
    if (stretch === null) return;
    // Somebody went elsewhere with the player's own controls.
    if (time < Number(stretch.start) - SLACK || time > Number(stretch.end) + SLACK) stretch = null;
    mark();
  });
  // The browser tells the time four times a second; a stretch of words is to end more exactly.
  const follow = () => {
    if (audio.paused) return;
    stopAtItsEnd();
    if (!still.matches) show();
    requestAnimationFrame(follow);
  };
  audio.addEventListener("timeupdate", () => {
    stopAtItsEnd();
    show();
  });
  audio.addEventListener("play", () => {
    mark();
    requestAnimationFrame(follow);
  });
  audio.addEventListener("pause", mark);
  audio.addEventListener("ended", () => {
    stretch = null;
    mark();
  });
  audio.addEventListener("seeked", show);

  document.querySelector(".keys").hidden = false;
})();
