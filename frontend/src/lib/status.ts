import type { IconName } from '@/components/icon'
import type { Schemas } from '@/lib/api'

export type ExecutionStatus = Schemas['ExecutionSummary']['status']
export type StageStatus = Schemas['StageRunBody']['status']
/** What is shown: the states of the API, and where a success has come from. */
export type Status = ExecutionStatus | StageStatus | 'cached' | 'reused'

/** The six colours a state can have. The colour never stands alone: icon and word tell it too. */
export type Tone = 'success' | 'failed' | 'running' | 'queued' | 'retrying' | 'skipped'

type Appearance = { tone: Tone; icon: IconName; word: string }

const APPEARANCES: Record<Status, Appearance> = {
  success: { tone: 'success', icon: 'tick', word: 'Succeeded' },
  failed: { tone: 'failed', icon: 'cross', word: 'Failed' },
  timed_out: { tone: 'failed', icon: 'clock-cross', word: 'Timed out' },
  running: { tone: 'running', icon: 'ring', word: 'Running' },
  queued: { tone: 'queued', icon: 'clock', word: 'Queued' },
  pending: { tone: 'queued', icon: 'dots', word: 'Not started' },
  retrying: { tone: 'retrying', icon: 'retry', word: 'Retrying' },
  waiting: { tone: 'retrying', icon: 'hand', word: 'Waiting' },
  paused: { tone: 'retrying', icon: 'hand', word: 'Paused' },
  cancelling: { tone: 'queued', icon: 'slash', word: 'Cancelling' },
  cancelled: { tone: 'queued', icon: 'slash', word: 'Cancelled' },
  cached: { tone: 'success', icon: 'bolt', word: 'Cached' },
  reused: { tone: 'success', icon: 'tick', word: 'Reused' },
  skipped: { tone: 'skipped', icon: 'skip', word: 'Not run' },
}

export function appearance(status: Status): Appearance {
  return APPEARANCES[status]
}

/** Whole class names, so that Tailwind finds them. */
export const TONE_TEXT: Record<Tone, string> = {
  success: 'text-state-success',
  failed: 'text-state-failed',
  running: 'text-state-running',
  queued: 'text-state-queued',
  retrying: 'text-state-retrying',
  skipped: 'text-state-skipped',
}

export const TONE_TINT: Record<Tone, string> = {
  success: 'bg-state-success-tint',
  failed: 'bg-state-failed-tint',
  running: 'bg-state-running-tint',
  queued: 'bg-state-queued-tint',
  retrying: 'bg-state-retrying-tint',
  skipped: 'bg-state-skipped-tint',
}

/** For marks in charts and timelines, where text contrast does not apply. */
export const TONE_FILL: Record<Tone, string> = {
  success: 'var(--color-state-success)',
  failed: 'var(--color-state-failed)',
  running: 'var(--color-state-running)',
  queued: 'var(--color-state-queued)',
  retrying: 'var(--color-state-retrying-fill)',
  skipped: 'var(--color-state-skipped)',
}

/** The state of a stage run, or that its success is one of another execution. */
export function shownStatus(run: Schemas['StageRunBody']): Status {
  if (run.status !== 'success') return run.status
  if (run.cached_from) return 'cached'
  return run.reused_from ? 'reused' : 'success'
}

const ENDED = new Set<Status>([
  'success',
  'cached',
  'reused',
  'failed',
  'cancelled',
  'timed_out',
  'skipped',
])

export function hasEnded(status: Status): boolean {
  return ENDED.has(status)
}

export function isFailure(status: Status): boolean {
  return status === 'failed' || status === 'timed_out'
}
