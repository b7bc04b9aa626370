import type { ReactNode } from 'react'
import { Link } from 'react-router'
import { Prose } from '@/components/prose'
import { describeCounts } from '@/components/stage-graph/model'
import { StateBadge } from '@/components/state-badge'
import { ExecutionLink } from '@/features/executions/components/execution-link'
import { isScheduled, startedBy } from '@/features/executions/model/started-by'
import { useNow } from '@/hooks/use-now'
import type { Schemas } from '@/lib/api'
import { formatDuration, formatMoment } from '@/lib/format'
import { hasEnded, shownStatus } from '@/lib/status'

const TICK_MS = 1000

type ExecutionFactsProps = {
  execution: Schemas['ExecutionDetail']
  /** What others know of it. */
  children?: ReactNode
}

/** When, how long against usual, how started: in one line. */
export function ExecutionFacts({ execution, children }: ExecutionFactsProps) {
  const { started_at, ended_at, idle_seconds, queued_seconds, usual_seconds } = execution
  const ended = hasEnded(execution.status)
  const pausedAt = execution.paused_at ?? null
  const clock = useNow(ended || pausedAt ? null : TICK_MS)
  // A pause is no part of the duration.
  const now = pausedAt ? Date.parse(pausedAt) : clock
  const seconds =
    started_at && !ended_at
      ? (now - Date.parse(started_at)) / 1000 - idle_seconds
      : execution.duration_seconds
  return (
    <div className="mb-3 flex flex-wrap items-center gap-x-4 gap-y-2 text-small text-muted-foreground">
      <StateBadge status={execution.status} />
      {started_at ? (
        <Fact name="started">{formatMoment(started_at)}</Fact>
      ) : (
        <Fact name="created">{formatMoment(execution.created_at)}</Fact>
      )}
      {seconds !== null && (
        <Fact
          name={ended ? 'ran' : 'running for'}
          rest={usual_seconds !== null && `of ${formatDuration(usual_seconds)} usual`}
        >
          {formatDuration(Math.max(0, seconds))}
        </Fact>
      )}
      {queued_seconds !== null && <Fact name="queued">{formatDuration(queued_seconds)}</Fact>}
      <Fact name="trigger">
        {isScheduled(execution) ? (
          <Link
            to={`/pipelines/${execution.pipeline_id}?tab=triggers&trigger=${execution.actor}`}
            className="text-link hover:underline"
          >
            {startedBy(execution)}
          </Link>
        ) : (
          execution.trigger
        )}
      </Fact>
      {execution.logical_date !== execution.created_at && (
        <Fact name="for">
          <time
            dateTime={execution.logical_date}
            title="The moment that it is about: its logical date"
          >
            {formatMoment(execution.logical_date)}
          </time>
        </Fact>
      )}
      {execution.actor && !isScheduled(execution) && <Fact name="by">{execution.actor}</Fact>}
      <Fact name="version">
        v{execution.version}
        {execution.trial && ', a draft on trial'}
      </Fact>
      {execution.priority !== 0 && <Fact name="priority">{execution.priority}</Fact>}
      {execution.retries > 0 && <Fact name="retried">{execution.retries}×</Fact>}
      {execution.rerun_of && (
        <Fact name={ranAgain(execution)}>
          <ExecutionLink id={execution.rerun_of} />
        </Fact>
      )}
      {execution.parent && (
        <Fact name="started by">
          <Link
            to={`/executions/${execution.parent.execution_id}?stage=${execution.parent.stage}`}
            className="text-link hover:underline"
          >
            {execution.parent.pipeline_id} #{execution.parent.number}
          </Link>
        </Fact>
      )}
      {execution.phase !== 'main' && !ended && <Fact name="now">{PHASES[execution.phase]}</Fact>}
      {execution.late ? (
        <Fact name="deadline">missed</Fact>
      ) : (
        execution.deadline_at &&
        !ended && <Fact name="deadline">{formatMoment(execution.deadline_at)}</Fact>
      )}
      {children}
      {execution.reason && (
        <span>
          <Prose text={execution.reason} />
        </span>
      )}
      <span className="ml-auto max-tablet:ml-0">
        {describeCounts(execution.stages.map(shownStatus))}
      </span>
    </div>
  )
}

function ranAgain({ from_stage, alone }: Schemas['ExecutionDetail']): string {
  if (!from_stage) return 're-run of'
  return alone ? `${from_stage} alone, run again of` : `run again from ${from_stage} of`
}

const PHASES: Record<Schemas['ExecutionDetail']['phase'], string> = {
  main: 'stages',
  compensation: 'undoing what was done',
  on_failure: 'stages for a failure',
  on_success: 'stages for a success',
  finally: 'closing stages',
}

function Fact({ name, rest, children }: { name: string; rest?: ReactNode; children: ReactNode }) {
  return (
    <span>
      {name} <b className="font-medium text-foreground">{children}</b> {rest}
    </span>
  )
}
