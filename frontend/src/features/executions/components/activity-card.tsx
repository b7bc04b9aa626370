import type { UseQueryResult } from '@tanstack/react-query'
import { Link } from 'react-router'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { StateIcon } from '@/components/state-badge'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { startedBy } from '@/features/executions/model/started-by'
import type { Schemas } from '@/lib/api'
import { formatDuration, formatMoment } from '@/lib/format'
import { appearance, hasEnded, isFailure } from '@/lib/status'

type Execution = Schemas['ExecutionSummary']

const SHOWN = 12

/** What happened last, the newest first. */
export function ActivityCard({ executions }: { executions: UseQueryResult<Execution[]> }) {
  const { data, error, isPending, refetch } = executions
  const latest = data
    ?.toSorted((a, b) => lastMoment(b).localeCompare(lastMoment(a)))
    .slice(0, SHOWN)
  return (
    <Card>
      <CardHeader
        title="Activity"
        end={
          <Link to="/executions" className="text-link hover:underline">
            All executions
          </Link>
        }
      />
      {isPending && <SkeletonRows rows={SHOWN} label="Loading the activity" />}
      {error && !data && (
        <ErrorPanel error={error} what="The activity" onRetry={() => void refetch()} />
      )}
      {latest?.length === 0 && (
        <EmptyState icon="executions" title="Nothing has run yet">
          Open a pipeline and press Run: here you see how it goes.
        </EmptyState>
      )}
      <ul>
        {latest?.map((execution) => (
          <li
            key={execution.id}
            className="relative flex items-center gap-2.5 border-b border-border-soft px-4 py-[7px] last:border-b-0 hover:bg-muted"
          >
            <time
              dateTime={lastMoment(execution)}
              className="mono text-small whitespace-nowrap text-muted-foreground"
            >
              {formatMoment(lastMoment(execution))}
            </time>
            <StateIcon status={execution.status} />
            <p className="min-w-0 truncate">
              <Link to={`/executions/${execution.id}`} className="cover-row font-semibold">
                {execution.pipeline_name}
              </Link>{' '}
              {appearance(execution.status).word.toLowerCase()}
              <Detail execution={execution} />
            </p>
          </li>
        ))}
      </ul>
    </Card>
  )
}

function lastMoment(execution: Execution): string {
  return execution.ended_at ?? execution.started_at ?? execution.created_at
}

function Detail({ execution }: { execution: Execution }) {
  if (isFailure(execution.status)) {
    return (
      <>
        {execution.failed_stage && (
          <>
            {' '}
            at <b className="font-semibold">{execution.failed_stage}</b>
          </>
        )}{' '}
        <span className="text-small text-muted-foreground">{execution.error?.message}</span>
      </>
    )
  }
  const text = hasEnded(execution.status)
    ? execution.duration_seconds !== null && formatDuration(execution.duration_seconds)
    : (execution.reason ?? `trigger: ${startedBy(execution)}`)
  return (
    <span className="text-small text-muted-foreground" title={execution.reason ?? undefined}>
      {' '}
      {text}
    </span>
  )
}
