/** A measurement as edgekit stores it: bench/TARGET/EXPORT.json, version 2. */

const CONTROL = "#again";
const TOLERANCE = 0.05;

/** The keys that are measured: each file, and each a second time as its own A/A control. */
export function subjectsOf(models) {
  const keys = models.map(({ model }) => model.key);
  return [...keys, ...keys.map((key) => key + CONTROL)];
}

/** `template`: what was known before; `target`: the name of this device. */
export function benchDocument(template, measurement, target) {
  const { protocol, processes, browser, models, started } = measurement;
  const own = processesOf(processes, template.key);
  const runs = own.flatMap(({ blocks }) => blocks.flatMap(({ ns }) => ns));
  const wrong = own.flatMap(({ blocks }) => blocks).filter((block) => block.n_wrong);
  const failed = wrong.length > 0 && wrong.length === own.flatMap(({ blocks }) => blocks).length;
  return {
    ...template,
    status: failed ? "failed" : "ok",
    problems: failed ? ["every block had a timed run with a wrong prediction"] : [],
    target,
    session_id: measurement.sessionId,
    sittings: [isoSeconds(started)],
    created: isoSeconds(new Date()),
    runtime: processes[0].find(({ event }) => event === "model").runtime,
    protocol,
    latency: [
      {
        threads: 1,
        threads_effective: 1,
        processes: own,
        preprocess_ns: [],
        postprocess_ns: [],
        unstable: measurement.doubts(runs),
        n_images: 0,
        pinned: null,
      },
    ],
    control: models.map(({ model, result }) => ({
      model: result.id,
      threads: 1,
      first: processesOf(processes, model.key),
      second: processesOf(processes, model.key + CONTROL),
    })),
    environment: { before: environment(browser, started), after: environment(browser, new Date()) },
    warnings: ["measured by a page on noise, with one thread; a page cannot see what else the device was doing"],
  };
}

/** What each process measured of one file. */
function processesOf(processes, key) {
  const known = new Map();
  return processes.map((events, number) => {
    const start = events.find((event) => event.event === "model" && event.key === key);
    const blocks = events.filter((event) => event.event === "block" && event.key === key);
    return {
      number,
      sitting: 0,
      load_ns: start.load_ns,
      first_ns: start.first_ns,
      warmup_ns: start.warmup_ns,
      blocks: blocks.map(({ round, ns, answers }) => ({
        round,
        ns,
        n_answers: answers.length,
        n_wrong: answers.filter((answer) => !isRight(answer, known)).length,
      })),
    };
  });
}

/** Whether an answer is the same as the first one about that input. */
function isRight(answer, known) {
  if (answer.predicted === null) return false;
  if (!known.has(answer.image)) known.set(answer.image, answer);
  const first = known.get(answer.image);
  return (
    answer.predicted === first.predicted ||
    Math.abs(answer.score - first.score) <= TOLERANCE * Math.max(1, Math.abs(first.score))
  );
}

function environment(browser, time) {
  return {
    cores: navigator.hardwareConcurrency,
    usable_cores: browser.threads,
    os: navigator.userAgentData?.platform || navigator.platform || null,
    versions: { browser: browserName(), "clock step": `${browser.clock_step_ns / 1000} us` },
    time_unix_s: time.getTime() / 1000,
  };
}

/** Name and version, as far as the browser says. */
function browserName() {
  const brands = navigator.userAgentData?.brands?.filter(({ brand }) => !/not.*brand/i.test(brand)) ?? [];
  if (brands.length) return brands.map(({ brand, version }) => `${brand} ${version}`).join(", ");
  const agent = navigator.userAgent;
  const version = agent.match(/(Firefox|Edg|OPR|Chrome)\/[\d.]+/) ?? agent.match(/Version\/([\d.]+).*Safari/);
  return version ? version[0] : agent;
}

const isoSeconds = (date) => date.toISOString().replace(/\.\d+Z$/, "+00:00");
