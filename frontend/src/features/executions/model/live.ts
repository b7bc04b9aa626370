import type { Schemas } from '@/lib/api'
import {
  type EventType,
  executionStatusAfter,
  type ItemProgress,
  type LiveEvent,
} from '@/lib/live-events'
import type { StageStatus } from '@/lib/status'

type ExecutionDetail = Schemas['ExecutionDetail']
type StageRun = Schemas['StageRunBody']

export type Patched = {
  execution: ExecutionDetail
  /** True when an event was missed or tells of something it does not carry (retry plan, outputs, new stage runs). */
  stale: boolean
}

/**
 * What the events make of an execution. Those it has seen change nothing; a hole in `seq` makes it stale. Items of
 * foreach stages are listed by themselves, and not all of their events are sent: what counts is the progress.
 */
export function applyEvents(execution: ExecutionDetail, events: readonly LiveEvent[]): Patched {
  let lastSeq = execution.last_seq
  let stale = false
  let next: ExecutionDetail = execution
  const changed = new Map<string, StageRun>()
  const runs = new Map(execution.stages.map((run) => [runKey(run.stage, run.index), run]))

  for (const event of events) {
    if (event.type === 'log' || event.execution_id !== execution.id) continue
    if (event.type === 'stage_progress' && event.stage !== null) {
      const key = runKey(event.stage, 0)
      const run = changed.get(key) ?? runs.get(key)
      if (run && event.details.items)
        changed.set(key, { ...run, items: countItems(event.details.items) })
      lastSeq = Math.max(lastSeq, event.details.through ?? 0)
      continue
    }
    if (event.seq <= lastSeq) continue
    if (event.index > 0) {
      lastSeq = event.seq
      continue
    }
    if (event.seq !== lastSeq + 1) stale = true
    lastSeq = event.seq
    if (event.stage === null) {
      next = applyToExecution(next, event)
      stale ||= CARRIES_TOO_LITTLE.has(event.type)
      continue
    }
    stale ||= CARRIES_TOO_LITTLE.has(event.type)
    const key = runKey(event.stage, event.index)
    const run = changed.get(key) ?? runs.get(key)
    if (run) changed.set(key, applyToStage(run, event))
    else stale = true
  }
  if (lastSeq === execution.last_seq && changed.size === 0) return { execution, stale: false }

  const stages =
    changed.size > 0
      ? execution.stages.map((run) => changed.get(runKey(run.stage, run.index)) ?? run)
      : execution.stages
  return {
    execution: { ...next, last_seq: lastSeq, stages, counts: countStatuses(stages) },
    stale,
  }
}

/**
 * A start may be a retry, which resets stage runs; an end brings outputs and a retry plan; a phase brings handlers; a
 * pause moves what is due.
 */
const CARRIES_TOO_LITTLE = new Set<EventType>([
  'execution_phase',
  'execution_paused',
  'execution_resumed',
  'deadline_missed',
  'stage_expanded',
  'stage_items_cancelled',
  'execution_started',
  'execution_completed',
  'execution_failed',
  'execution_cancelled',
  'execution_timed_out',
])

function applyToExecution(execution: ExecutionDetail, event: LiveEvent): ExecutionDetail {
  const status = executionStatusAfter(event)
  if (!status) return execution
  const { duration_seconds, error, failed_stage, reason } = event.details
  const common = { ...execution, status, reason: reason ?? execution.reason }
  switch (event.type) {
    case 'execution_admitted':
      return { ...common, reason: null }
    case 'execution_queued':
    case 'execution_cancelling':
    case 'execution_paused':
      return common
    case 'execution_resumed':
      return { ...common, reason: null, paused_at: null }
    case 'execution_started':
      return {
        ...common,
        started_at: execution.started_at ?? event.at,
        ended_at: null,
        error: null,
        failed_stage: null,
        retry: null,
      }
    default:
      return {
        ...common,
        ended_at: event.at,
        duration_seconds: duration_seconds ?? execution.duration_seconds,
        error: error ?? execution.error,
        failed_stage: failed_stage ?? execution.failed_stage,
      }
  }
}

const STAGE_STATUS: Partial<Record<EventType, StageStatus>> = {
  stage_started: 'running',
  stage_completed: 'success',
  stage_failed: 'failed',
  stage_retrying: 'retrying',
  stage_skipped: 'skipped',
  stage_waiting: 'waiting',
  stage_cancelled: 'cancelled',
  stage_repeating: 'queued',
}

function applyToStage(run: StageRun, event: LiveEvent): StageRun {
  // The end of the stage follows with an event of its own.
  if (event.type === 'approval_decided') return run
  const { attempt, reason, error, due_at, rows, bytes, duration_seconds } = event.details
  // The payload is finer than the type: a failed stage may have timed out, a retrying one may be queued at once.
  const status = (event.details.status as StageStatus | undefined) ?? STAGE_STATUS[event.type]
  if (!status) return run
  const common = {
    ...run,
    status,
    attempt: attempt ?? run.attempt,
    reason: reason ?? null,
    due_at: due_at ?? null,
    waits_for: status === 'waiting' ? (event.details.waits_for ?? run.waits_for ?? null) : null,
  }
  switch (event.type) {
    case 'stage_started':
      return {
        ...common,
        started_at: event.at,
        ended_at: null,
        duration_seconds: null,
        error: null,
      }
    case 'stage_retrying':
      return { ...common, error: error ?? run.error }
    case 'stage_waiting':
    case 'stage_repeating':
    case 'approval_requested':
      return common
    default:
      return {
        ...common,
        ended_at: event.at,
        duration_seconds: duration_seconds ?? secondsBetween(run.started_at, event.at),
        error: error ?? null,
        rows: rows ?? run.rows,
        bytes: bytes ?? run.bytes,
      }
  }
}

function countItems(items: ItemProgress): Schemas['ItemCounts'] {
  const states = {
    success: items.succeeded ?? 0,
    failed: items.failed ?? 0,
    skipped: items.skipped ?? 0,
    cancelled: items.cancelled ?? 0,
    queued: items.left,
  }
  return {
    count: items.count,
    states: Object.fromEntries(Object.entries(states).filter(([, count]) => count > 0)),
  }
}

function secondsBetween(from: string | null, to: string): number | null {
  return from === null ? null : (Date.parse(to) - Date.parse(from)) / 1000
}

function countStatuses(stages: readonly StageRun[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status } of stages) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** Names a stage run within its execution. */
export function runKey(stage: string, index: number): string {
  return `${stage}[${index}]`
}
