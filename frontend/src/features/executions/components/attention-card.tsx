import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { StateBadge } from '@/components/state-badge'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { useRetry } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'
import { formatAgo, plural } from '@/lib/format'
import { useHasRole } from '@/store/session'

type AttentionCardProps = {
  execution: Schemas['ExecutionSummary']
  /** Other pipelines whose latest run failed. */
  others: number
  now: number
}

/** The failure that waits for somebody, with its exact error: no click between the home page and the cause. */
export function AttentionCard({ execution, others, now }: AttentionCardProps) {
  const retry = useRetry(execution.id)
  const mayRun = useHasRole('operator')
  const blocked = execution.counts.skipped ?? 0
  return (
    <Card
      aria-label="Needs attention"
      className="mb-3.5 grid grid-cols-[minmax(0,1fr)_auto] items-center gap-3.5 border-[color-mix(in_srgb,var(--color-state-failed)_42%,var(--color-border))] px-4 py-3 max-tablet:grid-cols-[minmax(0,1fr)]"
    >
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-[9px] gap-y-1">
          <StateBadge status={execution.status} />
          <h2 className="text-[14px] font-semibold">
            <Link to={`/pipelines/${execution.pipeline_id}`} className="hover:underline">
              {execution.pipeline_name}
            </Link>
          </h2>
          <span className="text-small text-muted-foreground">
            #{execution.number} {formatAgo(execution.ended_at ?? execution.created_at, now)}
            {execution.failed_stage && (
              <>
                {' '}
                at stage <span className="mono">{execution.failed_stage}</span>
              </>
            )}
            {blocked > 0 && `, ${plural(blocked, 'stage')} blocked`}
          </span>
        </div>
        <p className="mono wrap-text mt-1.5 text-small">
          {execution.error?.message ?? execution.reason ?? 'No reason was recorded.'}
        </p>
        {others > 0 && (
          <p className="mt-1.5 text-small">
            <Link to="/executions?status=failed" className="text-link hover:underline">
              {plural(others, 'other pipeline')} failed too
            </Link>
          </p>
        )}
      </div>
      <div className="flex flex-wrap gap-2">
        <Button asChild>
          <Link to={`/executions/${execution.id}`}>Open cause</Link>
        </Button>
        {mayRun && (
          <Button variant="primary" disabled={retry.isPending} onClick={() => retry.mutate()}>
            <Icon name="retry" />
            {execution.failed_stage ? `Retry from ${execution.failed_stage}` : 'Retry'}
          </Button>
        )}
      </div>
    </Card>
  )
}
