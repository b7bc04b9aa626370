import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card } from '@/components/ui/card'
import { type Approval, COUNTED_AT_MOST } from '@/features/approvals/api'
import { formatAgo } from '@/lib/format'

/** On the dashboard: what waits for the one who looks at it, the longest waiting named. */
export function WaitingCard({ approvals, now }: { approvals: Approval[]; now: number }) {
  const [first] = approvals
  if (!first) return null
  const others = approvals.length - 1
  return (
    <Card
      aria-label="Waiting for you"
      className="mb-3.5 grid grid-cols-[minmax(0,1fr)_auto] items-center gap-3.5 border-[color-mix(in_srgb,var(--color-state-retrying)_42%,var(--color-border))] px-4 py-3 max-tablet:grid-cols-[minmax(0,1fr)]"
    >
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-x-[9px] gap-y-1">
          <span className="inline-flex items-center gap-1.5 rounded-sm bg-state-retrying-tint py-0.5 pr-2 pl-1.5 text-small font-semibold whitespace-nowrap text-state-retrying forced-border">
            <Icon name="hand" className="size-[13px] stroke-2" />
            Waiting for you
          </span>
          <h2 className="text-[14px] font-semibold">
            <Link to={`/pipelines/${first.pipeline_id}`} className="hover:underline">
              {first.pipeline_name}
            </Link>
          </h2>
          <span className="text-small text-muted-foreground">
            #{first.number} asked {formatAgo(first.asked_at, now)} at stage{' '}
            <span className="mono">{first.stage}</span>
          </span>
        </div>
        <p className="wrap-text mt-1.5 line-clamp-2 text-small">{first.message}</p>
      </div>
      <div className="flex flex-wrap gap-2">
        {others > 0 && (
          <Button asChild>
            <Link to="/approvals">
              {approvals.length >= COUNTED_AT_MOST
                ? `All ${COUNTED_AT_MOST} and more`
                : `All ${approvals.length}`}
            </Link>
          </Button>
        )}
        <Button variant="primary" asChild>
          <Link to={`/executions/${first.execution_id}?stage=${encodeURIComponent(first.stage)}`}>
            Decide
          </Link>
        </Button>
      </div>
    </Card>
  )
}
