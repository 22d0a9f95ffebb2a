// Numbers and times in the words people read: the same ones as in the reports.

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

export function bytes(n) {
  if (n == null) return "–";
  if (Math.abs(n) < 1024) return `${Math.round(n)} B`;
  let value = n / 1024;
  let unit = 0;
  while (Math.abs(value) >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit]}`;
}

// For the ticks of a plot, which are round numbers.
export function bytesShort(n) {
  return n ? bytes(n).replace(".0 ", " ") : "0";
}

// Per second from 64 KiB/s up, per hour below: nobody pictures 300 bytes a second.
export function rate(n) {
  const text = Math.abs(n) >= 65536 ? `${bytes(n)}/s` : `${bytes(n * 3600)}/h`;
  return n > 0 ? `+${text}` : text.replace("-", "−");
}

// Always per hour, in which the growth of one function is told.
export function hourly(n) {
  return `${n > 0 ? "+" : ""}${bytes(n * 3600).replace("-", "−")}/h`;
}

export function span(seconds) {
  const s = Math.max(0, seconds);
  const whole = Math.round(s);
  if (whole < 10) return `${s.toFixed(1)} s`;
  const two = (a, unitA, b, unitB) => (b ? `${a} ${unitA} ${b} ${unitB}` : `${a} ${unitA}`);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400) return two(Math.floor(whole / 3600), "h", Math.floor(whole / 60) % 60, "min");
  return two(Math.floor(whole / 86400), "d", Math.floor(whole / 3600) % 24, "h");
}

export function ago(seconds) {
  return seconds < 2 ? "just now" : `${span(seconds)} ago`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function clock(unix) {
  const date = new Date(unix * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return today ? CLOCK.format(date) : `${DATE.format(date)}, ${CLOCK.format(date)}`;
}

// What is told of a target's state, by the level of its assessment.
const STATES = {
  imminent: "Kill imminent",
  leak: "Leak",
  suspect: "Suspect",
  calm: "Calm",
};

// [class, words, danger]; a higher danger is shown further up.
export function state(target) {
  if (!target.assessment) return ["unseen", "Not sampled yet", 1];
  if (!target.up) return ["gone", "Gone", 1];
  const level = target.assessment.level;
  const danger = { calm: 0, suspect: 2, leak: 3, imminent: 4 }[level] ?? 0;
  return [level, STATES[level] ?? level, danger];
}
