import type { Schemas } from '@/lib/api'
import type { ExecutionStatus, StageStatus } from '@/lib/status'

export const EVENT_TYPES = [
  'execution_queued',
  'execution_admitted',
  'execution_started',
  'stage_started',
  'stage_completed',
  'stage_failed',
  'stage_retrying',
  'stage_skipped',
  'stage_waiting',
  'stage_cancelled',
  'stage_expanded',
  'stage_items_cancelled',
  'stage_repeating',
  'stage_progress',
  'approval_requested',
  'approval_decided',
  'execution_completed',
  'execution_failed',
  'execution_cancelling',
  'execution_cancelled',
  'execution_timed_out',
  'execution_phase',
  'execution_paused',
  'execution_resumed',
  'execution_signalled',
  'deadline_missed',
  'pipeline_created',
  'pipeline_updated',
  'pipeline_draft_changed',
  'pipeline_paused',
  'pipeline_resumed',
  'pipeline_deleted',
  'trigger_fired',
  'trigger_changed',
  'prediction_updated',
  'insight_found',
  'insight_changed',
  'suggestion_found',
  'suggestion_changed',
  'model_trained',
  'log',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

/** How many items of a foreach stage have ended, and how; `left` have not. */
export type ItemProgress = {
  count: number
  left: number
  succeeded?: number
  failed?: number
  skipped?: number
  cancelled?: number
}

/** What an event tells beyond where it belongs; each type fills some of it. */
export type EventDetails = {
  number?: number
  attempt?: number
  status?: StageStatus | ExecutionStatus
  reason?: string
  error?: Schemas['StageErrorBody']
  failed_stage?: string
  due_at?: string
  waits_for?: Schemas['StageRunBody']['waits_for']
  rows?: number
  bytes?: number
  duration_seconds?: number
  /** Of `stage_progress`, whose own `seq` is 0: the counts include every event up to this number. */
  through?: number
  items?: ItemProgress
  /** Of a log line, which has its own id and `seq` 0. */
  id?: number
  level?: Schemas['LogLine']['level']
  message?: string
  /** Of a trigger's event: its id, the instant it was about and what became of it; whether it is paused now, and by whom. */
  trigger?: string
  instant?: string
  state?: Schemas['FiringBody']['state']
  paused?: boolean
  by?: string | null
}

/** `seq` counts an execution's events from 1 without holes. */
export type LiveEvent = {
  type: EventType
  seq: number
  at: string
  /** Empty where something has happened to a pipeline itself. */
  execution_id: string
  pipeline_id: string
  stage: string | null
  index: number
  details: EventDetails
}

/** As the socket sends it. */
export type FlatEvent = EventDetails & {
  seq: number
  at: string
  execution_id?: string
  pipeline_id: string
  stage?: string | null
  index?: number | null
}

export function fromSocket(type: EventType, flat: FlatEvent): LiveEvent {
  const { seq, at, execution_id, pipeline_id, stage, index, ...details } = flat
  return {
    type,
    seq,
    at,
    execution_id: execution_id ?? '',
    pipeline_id,
    stage: stage ?? null,
    index: index ?? 0,
    details,
  }
}

/** One of the missed events, as `subscribe` answers with. Null for a type that only a newer server knows. */
export function fromAck(missed: FlatEvent & { type: string }): LiveEvent | null {
  const { type: name, ...flat } = missed
  const type = EVENT_TYPES.find((known) => known === name)
  return type ? fromSocket(type, flat) : null
}

const EXECUTION_STATUS: Partial<Record<EventType, ExecutionStatus>> = {
  execution_queued: 'queued',
  execution_admitted: 'queued',
  execution_started: 'running',
  execution_completed: 'success',
  execution_failed: 'failed',
  execution_cancelling: 'cancelling',
  execution_cancelled: 'cancelled',
  execution_timed_out: 'timed_out',
  execution_paused: 'paused',
}

/** The status an execution has after an event about it; null when the event is about a stage or a log line. */
export function executionStatusAfter(event: LiveEvent): ExecutionStatus | null {
  // It goes on where it was: running, or queued where it had not begun.
  if (event.type === 'execution_resumed') {
    return event.details.status === 'queued' ? 'queued' : 'running'
  }
  return EXECUTION_STATUS[event.type] ?? null
}

export function isAboutPipeline(event: LiveEvent): boolean {
  return event.type.startsWith('pipeline_')
}

/** A version or a draft came, was published or was discarded. */
export function changesVersions(event: LiveEvent): boolean {
  return event.type === 'pipeline_updated' || event.type === 'pipeline_draft_changed'
}

export function isAboutApproval(event: LiveEvent): boolean {
  return event.type.startsWith('approval_')
}

/** Something abnormal, a suggestion or a model is new or has changed. */
export function concernsInsights(event: LiveEvent): boolean {
  return /^(insight|suggestion|model)_/.test(event.type)
}

/** What a list of pipelines shows: themselves, and how their executions go. */
export function concernsPipelines(event: LiveEvent): boolean {
  return executionStatusAfter(event) !== null || isAboutPipeline(event)
}
