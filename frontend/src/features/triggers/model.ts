import type { Backfill, Firing, Trigger } from '@/features/triggers/api'
import { describeCron } from '@/features/triggers/cron'
import type { Reading } from '@/features/triggers/moments'
import { formatCount, plural } from '@/lib/format'
import { executionStatusAfter, type LiveEvent } from '@/lib/live-events'

/** "Mon to Fri at 02:15, Europe/Paris"; null for a cron text that has no plain sentence. */
export function describeSchedule({ cron, every, timezone }: Trigger): string | null {
  // An interval is the same in every zone.
  if (cron === null) return every === null ? null : describeInterval(every)
  const words = describeCron(cron)
  return words && `${words}, ${timezone}`
}

const UNITS: Record<string, string> = {
  d: 'day',
  h: 'hour',
  m: 'minute',
  s: 'second',
  ms: 'millisecond',
}

/** "1h30m" → "Every 1 hour 30 minutes", "1s" → "Every second" */
function describeInterval(every: string): string | null {
  const parts = [...every.matchAll(/(\d+)(ms|[dhms])/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== every) return null
  const [only] = parts
  if (parts.length === 1 && only?.[1] === '1') return `Every ${UNITS[only[2] ?? '']}`
  const words = parts.map(([, count, unit]) => {
    return `${count} ${UNITS[unit ?? '']}${count === '1' ? '' : 's'}`
  })
  return `Every ${words.join(' ')}`
}

/** How its instants are read. */
export function readingOf({ timezone, every }: Trigger): Reading {
  return { timezone, seconds: every !== null && every.endsWith('s') }
}

/** As the definition has it. */
export function rawSchedule({ cron, every }: Trigger): string {
  return cron === null ? `every: ${every}` : cron
}

/** What becomes of instants that nothing was started for in time. */
export const CATCH_UP: Record<Trigger['catchup'], string> = {
  none: 'Instants that pass while it is paused, or while no server runs, are left out.',
  latest:
    'Of the instants that pass while no server runs, only the latest is made up for. Those in a pause are left out.',
  all: 'Every instant that passes while it is paused, or while no server runs, is made up for: the latest 1,000 at most.',
}

/** Its last instant has passed: it comes no more, whether it is paused or not. */
export function hasEnded({ next_at, reason }: Trigger): boolean {
  return next_at === null && reason !== null && reason.startsWith('ended')
}

/** What a pipeline's schedules come to: null without any. */
export type NextRun =
  | { state: 'due'; trigger: Trigger; at: string }
  | { state: 'paused' | 'ended'; why: string }

/** The next instant of each pipeline's triggers, or why there is none. */
export function nextRuns(triggers: readonly Trigger[]): ReadonlyMap<string, NextRun> {
  const found = new Map<string, NextRun>()
  for (const trigger of triggers) {
    const before = found.get(trigger.pipeline_id)
    const next = nextRun(trigger)
    if (!before || comesBefore(next, before)) found.set(trigger.pipeline_id, next)
  }
  return found
}

function nextRun(trigger: Trigger): NextRun {
  if (trigger.next_at !== null) return { state: 'due', trigger, at: trigger.next_at }
  const why = `${trigger.id}: ${trigger.reason ?? 'paused'}`
  return { state: hasEnded(trigger) ? 'ended' : 'paused', why }
}

function comesBefore(one: NextRun, other: NextRun): boolean {
  if (one.state !== 'due') return one.state === 'paused' && other.state === 'ended'
  return other.state !== 'due' || Date.parse(one.at) < Date.parse(other.at)
}

/**
 * Triggers as live events leave them. `stale` when they do not tell enough: how many instants were missed, what comes
 * after a pause, or which are the `upcoming` instants, of which so many are to be known.
 */
export function applyTriggerEvents(
  triggers: Trigger[],
  events: readonly LiveEvent[],
  upcoming: number,
): { triggers: Trigger[]; stale: boolean } {
  let stale = false
  let next = triggers
  for (const event of events) {
    const position = next.findIndex((trigger) => isAbout(event, trigger))
    const known = next[position]
    if (!known) continue
    const changed = patched(known, event)
    next = next.with(position, changed)
    stale ||= tellsTooLittle(event) || (!changed.reason && changed.upcoming.length < upcoming)
  }
  return { triggers: next, stale }
}

function isAbout(
  { type, pipeline_id, details, execution_id }: LiveEvent,
  trigger: Trigger,
): boolean {
  if (trigger.last?.execution_id && trigger.last.execution_id === execution_id) return true
  const isIts = pipeline_id === trigger.pipeline_id && details.trigger === trigger.id
  return isIts && (type === 'trigger_fired' || type === 'trigger_changed')
}

function tellsTooLittle({ details }: LiveEvent): boolean {
  return details.state === 'missed' || details.paused === false
}

function patched(trigger: Trigger, event: LiveEvent): Trigger {
  const { paused, by = null } = event.details
  if (event.type === 'trigger_changed') {
    return paused
      ? { ...trigger, ...NOTHING_COMES, paused_at: event.at, paused_by: by, reason: pausedBy(by) }
      : { ...trigger, paused_at: null, paused_by: null }
  }
  const last = firingOf(event)
  if (last && trigger.last && !isAfter(last.instant, trigger.last.instant)) return trigger
  if (!last) return { ...trigger, last: trigger.last && withStatus(trigger.last, event) }
  const upcoming = trigger.upcoming.filter((moment) => isAfter(moment, last.instant))
  // The one that comes after them is not known: the last that was is shown until it is.
  return { ...trigger, last, upcoming, next_at: upcoming[0] ?? trigger.next_at }
}

const NOTHING_COMES = { next_at: null, upcoming: [] }

function pausedBy(who: string | null): string {
  return who ? `paused by ${who}` : 'paused'
}

/** With the state that its execution has after the event. */
function withStatus(firing: Firing, event: LiveEvent): Firing {
  const status = firing.execution_id === event.execution_id ? executionStatusAfter(event) : null
  return status === null ? firing : { ...firing, execution_status: status }
}

/** The same list where none of them started the event's execution. */
export function withStatuses(history: Firing[], event: LiveEvent): Firing[] {
  if (!event.execution_id) return history
  const changed = history.map((firing) => withStatus(firing, event))
  return changed.every((firing, at) => firing === history[at]) ? history : changed
}

/** What became of an instant; null where the event is not about one. */
export function firingOf(event: LiveEvent): Firing | null {
  const { instant, state, reason = null, number = null } = event.details
  if (event.type !== 'trigger_fired' || !instant || !state) return null
  return {
    instant,
    state,
    execution_id: event.execution_id || null,
    execution_number: number,
    execution_status: null,
    count: 1,
    reason,
    at: event.at,
  }
}

/** The history with a new firing in it, which may have come already. */
export function withFiring(history: Firing[], firing: Firing): Firing[] {
  const [newest] = history
  return newest && !isAfter(firing.instant, newest.instant) ? history : [firing, ...history]
}

/** What has become of a backfill; `whole` when nothing of it is left to be done. */
export function describeBackfill(done: Backfill): { words: string; whole: boolean } {
  const parts = [
    done.skipped > 0 && `${formatCount(done.skipped)} skipped because of its condition`,
    done.refused > 0 && `${formatCount(done.refused)} refused`,
    done.left > 0 && `${formatCount(done.left)} not started yet`,
  ].filter((part) => part !== false)
  const started = `${plural(done.started, 'execution is', 'executions are')} started`
  const reason = done.reason === null ? '' : ` ${done.reason}`
  return {
    words: `${[started, ...parts].join(', ')}.${reason}`,
    whole: done.refused === 0 && done.left === 0,
  }
}

function isAfter(moment: string, other: string): boolean {
  return Date.parse(moment) > Date.parse(other)
}

/** Later than this it was not on time, but made up for. As the server has it. */
const ON_TIME_SECONDS = 60

/** How long after its instant it was dealt with; null where that was on time. */
export function secondsLate({ instant, at }: Firing): number | null {
  const seconds = (Date.parse(at) - Date.parse(instant)) / 1000
  return seconds > ON_TIME_SECONDS ? seconds : null
}

/** The event tells of an instant that passed before: many may do so at once. */
export function isMadeUpFor(event: LiveEvent): boolean {
  const firing = firingOf(event)
  return firing !== null && secondsLate(firing) !== null
}
