import type { Schemas } from '@/lib/api'
import { executionStatusAfter, type LiveEvent } from '@/lib/live-events'
import { type ExecutionStatus, hasEnded, isFailure } from '@/lib/status'

type Pipeline = Schemas['PipelineSummary']
type RunBar = Schemas['RunBar']

/** The status of its latest execution; null before the first. */
export function latestStatus(pipeline: Pipeline): ExecutionStatus | null {
  return pipeline.recent.at(-1)?.status ?? null
}

function need(pipeline: Pipeline): number {
  const status = latestStatus(pipeline)
  if (status === null) return 3
  if (isFailure(status)) return 0
  return hasEnded(status) ? 2 : 1
}

/** What failed first, then what runs, then the rest; within each the one with the latest execution first. */
export function sortByNeed(pipelines: readonly Pipeline[]): Pipeline[] {
  const latest = (pipeline: Pipeline) => pipeline.recent.at(-1)?.created_at ?? ''
  return pipelines.toSorted(
    (a, b) =>
      need(a) - need(b) || latest(b).localeCompare(latest(a)) || a.name.localeCompare(b.name),
  )
}

export function isFailing(pipeline: Pipeline): boolean {
  return need(pipeline) === 0
}

export function isActive(pipeline: Pipeline): boolean {
  return need(pipeline) === 1
}

/** Whether it keeps results of stages, so that a new execution may take them instead of running. */
export function keepsResults(definition: Record<string, unknown>): boolean {
  const { stages } = definition
  return Array.isArray(stages) && stages.some((stage) => isObject(stage) && 'cache' in stage)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const BARS = 20

/**
 * The bars as live events leave them. `unknown` names a pipeline or an execution that the list does not hold: then it
 * has to be asked for again.
 */
export function applyRunEvents(
  pipelines: Pipeline[],
  events: readonly LiveEvent[],
): { pipelines: Pipeline[]; unknown: boolean } {
  let unknown = false
  let next = pipelines
  for (const event of events) {
    const status = executionStatusAfter(event)
    if (!status) continue
    const position = next.findIndex(({ id }) => id === event.pipeline_id)
    const pipeline = next[position]
    const recent = pipeline && patchBars(pipeline.recent, event, status)
    if (recent) next = next.with(position, { ...pipeline, recent })
    else unknown = true
  }
  return { pipelines: next, unknown }
}

/** Null when the bar is missing and the event does not tell enough to make one. */
function patchBars(bars: RunBar[], event: LiveEvent, status: ExecutionStatus): RunBar[] | null {
  const position = bars.findIndex(({ id }) => id === event.execution_id)
  const bar = bars[position]
  const { number, duration_seconds } = event.details
  if (bar)
    return bars.with(position, {
      ...bar,
      status,
      duration_seconds: duration_seconds ?? bar.duration_seconds,
    })
  if (number === undefined || hasEnded(status)) return null
  const added = {
    id: event.execution_id,
    number,
    status,
    created_at: event.at,
    duration_seconds: null,
  }
  return [...bars, added].slice(-BARS)
}
