import type { Schemas } from '@/lib/api'
import { formatDuration } from '@/lib/format'
import { hasEnded, type Status, shownStatus } from '@/lib/status'

type StageRun = Schemas['StageRunBody']

/** Milliseconds since the epoch. */
type Span = { from: number; to: number }

export type TimelineRow = {
  stage: string
  index: number
  label: string
  status: Status
  /** Of a handler: which of them it is; null for the stages themselves. */
  group: string | null
  /** From ready to started: waiting for a slot. */
  wait: Span | null
  /** From started to ended, or to now. */
  work: Span | null
  seconds: number | null
  critical: boolean
  /** In place of a bar. */
  note: string | null
}

export type Timeline = { rows: TimelineRow[]; scale: TimeScale; criticalPath: string[] }

/** Rows in the order of the definition, so that none jumps while stages start; handlers after the stages. */
export function buildTimeline(stages: readonly StageRun[], now: number): Timeline {
  const criticalPath = findCriticalPath(stages)
  const critical = new Set(criticalPath)
  const many = new Set(stages.filter((run) => run.index > 0).map((run) => run.stage))
  const rows = inPhases(stages).map((run) => {
    const work = run.started_at === null ? null : toSpan(run.started_at, run.ended_at, now)
    return {
      stage: run.stage,
      index: run.index,
      label: many.has(run.stage) ? `${run.name} [${run.index}]` : run.name,
      status: shownStatus(run),
      group: run.phase === 'main' ? null : HANDLERS[run.phase],
      wait: waitOf(run, work, now),
      work,
      // The API's duration of what still runs is as old as the answer.
      seconds: hasEnded(run.status) ? run.duration_seconds : work && (work.to - work.from) / 1000,
      critical: critical.has(run.stage),
      note: noteOf(run),
    }
  })
  const spans = rows.flatMap(({ wait, work }) => [wait, work].filter((span) => span !== null))
  return { rows, scale: new TimeScale(spans), criticalPath }
}

const PHASES: StageRun['phase'][] = ['main', 'compensation', 'on_failure', 'on_success', 'finally']

function inPhases(stages: readonly StageRun[]): StageRun[] {
  return stages.toSorted((a, b) => PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase))
}

function toSpan(from: string, to: string | null, now: number): Span {
  const start = Date.parse(from)
  return { from: start, to: Math.max(start, to === null ? now : Date.parse(to)) }
}

function waitOf(run: StageRun, work: Span | null, now: number): Span | null {
  if (run.ready_at === null) return null
  const ready = Date.parse(run.ready_at)
  const until = work ? work.from : run.status === 'queued' ? now : null
  return until !== null && until > ready ? { from: ready, to: until } : null
}

function noteOf(run: StageRun): string | null {
  if (run.status === 'skipped') return `not run: ${run.reason ?? 'skipped'}`
  if (run.started_at !== null) return null
  if (run.reused_from) return 'reused from an earlier execution'
  if (run.status === 'cancelled') return 'not run: cancelled'
  return run.reason
}

/**
 * The chain of stages that made the execution as long as it was: from the last to end, back over the need that ended
 * last. Shortening any other stage would not have shortened the execution.
 */
export function findCriticalPath(stages: readonly StageRun[]): string[] {
  const ended = new Map<string, { at: string; needs: string[] }>()
  for (const run of stages) {
    // Handlers need nothing of the stages, and come after them whatever they do.
    if (run.ended_at === null || run.started_at === null || run.phase !== 'main') continue
    const known = ended.get(run.stage)
    if (!known || known.at < run.ended_at)
      ended.set(run.stage, { at: run.ended_at, needs: run.needs })
  }
  const last = (names: Iterable<string>) =>
    [...names]
      .filter((name) => ended.has(name))
      .toSorted((a, b) => (ended.get(b)?.at ?? '').localeCompare(ended.get(a)?.at ?? ''))[0]
  const path: string[] = []
  for (
    let stage = last(ended.keys());
    stage !== undefined;
    stage = last(ended.get(stage)?.needs ?? [])
  ) {
    // A damaged definition must not hang the page.
    if (path.includes(stage)) break
    path.unshift(stage)
  }
  return path
}

type Segment = Span & { offset: number }
export type Tick = { position: number; label: string; pause: boolean }

/** Nothing happening for at least this share of what did happen, and this long, is cut out. */
const CUT_SHARE = 0.5
const CUT_MS = 10_000
/** What a cut keeps of the axis, as a share of the rest. */
const PAUSE_SHARE = 0.04
const TICKS_WANTED = 5

/**
 * Time to a place between 0 and 1. The axis spans what really happened: a pause, such as the hour until somebody
 * retried, is cut out and marked instead of squeezing everything else into a corner.
 */
export class TimeScale {
  readonly #segments: Segment[]
  readonly #total: number

  constructor(spans: readonly Span[]) {
    const busy = mergeSpans(spans)
    const worked = busy.reduce((sum, span) => sum + span.to - span.from, 0)
    const kept = joinShortGaps(busy, Math.max(CUT_MS, worked * CUT_SHARE))
    const length = kept.reduce((sum, span) => sum + span.to - span.from, 0)
    const pause = length * PAUSE_SHARE
    let offset = 0
    this.#segments = kept.map((span) => {
      const segment = { ...span, offset }
      offset += span.to - span.from + pause
      return segment
    })
    this.#total = Math.max(1, offset - pause)
  }

  /** Of what is shown, pauses left out. */
  get seconds(): number {
    return this.#segments.reduce((sum, span) => sum + span.to - span.from, 0) / 1000
  }

  position(time: number): number {
    let place = 0
    for (const { from, to, offset } of this.#segments) {
      if (time < from) break
      place = offset + Math.min(time, to) - from
    }
    return Math.min(1, Math.max(0, place / this.#total))
  }

  /** Round steps; behind a pause they count from its end, which is labelled with how long it was. */
  ticks(): Tick[] {
    const step = roundStep(this.#total / TICKS_WANTED)
    return this.#segments.flatMap(({ from, to, offset }, number) => {
      const ticks: Tick[] = []
      for (let time = 0; time <= to - from; time += step) {
        ticks.push({
          position: (offset + time) / this.#total,
          label: tickLabel(time, step),
          pause: false,
        })
      }
      const before = this.#segments[number - 1]
      const first = ticks[0]
      if (before && first) {
        first.pause = true
        first.label = `${formatDuration((from - before.to) / 1000)} later`
      }
      return ticks
    })
  }
}

function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = []
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last && span.from <= last.to) last.to = Math.max(last.to, span.to)
    else merged.push({ ...span })
  }
  return merged
}

function joinShortGaps(spans: readonly Span[], longest: number): Span[] {
  const joined: Span[] = []
  for (const span of spans) {
    const last = joined.at(-1)
    if (last && span.from - last.to <= longest) last.to = span.to
    else joined.push({ ...span })
  }
  return joined
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const ROUND_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].concat(
  [1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  [1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  [1, 2, 3, 6, 12, 24, 48, 168].map((hours) => hours * HOUR),
)

function roundStep(wanted: number): number {
  return ROUND_STEPS.find((step) => step >= wanted) ?? 720 * HOUR
}

function tickLabel(ms: number, step: number): string {
  if (step < SECOND) return ms < SECOND ? `${ms} ms` : `${ms / SECOND} s`
  if (step < MINUTE && ms < 2 * MINUTE) return `${Math.round(ms / SECOND)} s`
  if (ms < 2 * HOUR) return `${+(ms / MINUTE).toFixed(1)} m`
  return `${+(ms / HOUR).toFixed(1)} h`
}

const HANDLERS = {
  compensation: 'Undoing what was done',
  on_failure: 'On failure',
  on_success: 'On success',
  finally: 'At the end',
}
