import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { LoadMore } from '@/components/load-more'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { executionKeys, executionsQuery } from '@/features/executions/api'
import { ExecutionTable } from '@/features/executions/components/execution-table'
import { aboutQuery, healthQuery } from '@/features/server/api'
import { DrainCard } from '@/features/server/drain-card'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'

const REFRESH_MS = 1000
const CLOCK_MS = 15_000

/** What this server is, whether it takes work, and what is under way. */
export function ServerSection() {
  usePageTitle('Server')
  return (
    <div className="flex max-w-[900px] flex-col gap-3.5">
      <Trouble />
      <DrainCard>
        <UnderWay />
      </DrainCard>
      <About />
    </div>
  )
}

/** What is wrong although the server goes on: its artifacts, or Redis, are away. */
function Trouble() {
  const health = useQuery(healthQuery)
  return (
    <div role="status" className="empty:hidden">
      {health.data?.status === 'degraded' && (
        <p className="flex items-start gap-2 rounded-lg border border-border bg-state-retrying-tint px-4 py-3 text-state-retrying">
          <Icon name="warning" className="mt-0.5" />
          <span className="wrap-text">{health.data.detail}</span>
        </p>
      )}
    </div>
  )
}

function UnderWay() {
  useLiveRefresh('dashboard', [executionKeys.lists()], REFRESH_MS)
  const now = useNow(CLOCK_MS)
  const executions = useInfiniteQuery(executionsQuery({ status: ['running', 'cancelling'] }))
  const shown = executions.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <div className="border-t border-border-soft">
      <h3 className="px-4 pt-3 pb-1 font-semibold">Executions under way</h3>
      {executions.isPending && <SkeletonRows rows={3} label="Loading the executions" />}
      {executions.error && (
        <ErrorPanel
          error={executions.error}
          what="The executions"
          onRetry={() => void executions.refetch()}
        />
      )}
      {executions.data && shown.length === 0 && (
        <p className="px-4 pb-3 text-muted-foreground">None.</p>
      )}
      {shown.length > 0 && <ExecutionTable executions={shown} now={now} />}
      <LoadMore
        hasMore={executions.hasNextPage}
        loading={executions.isFetchingNextPage}
        onLoad={() => void executions.fetchNextPage()}
      />
    </div>
  )
}

const DATABASES = { sqlite: 'SQLite, in the data folder', postgresql: 'PostgreSQL' }

function About() {
  const about = useQuery(aboutQuery)
  return (
    <Card aria-label="About">
      <CardHeader title="About" />
      {about.isPending && <SkeletonRows rows={3} label="Loading what this server is" />}
      {about.error && (
        <ErrorPanel
          error={about.error}
          what="What this server is"
          onRetry={() => void about.refetch()}
        />
      )}
      {about.data && (
        <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-6 gap-y-2 px-4 py-3">
          <dt className="text-muted-foreground">Version</dt>
          <dd>{about.data.version}</dd>
          <dt className="text-muted-foreground">Database</dt>
          <dd>{DATABASES[about.data.database]}</dd>
          <dt className="text-muted-foreground">Code stages</dt>
          <dd>{about.data.code_stages ? 'allowed' : 'switched off'}</dd>
          <dt className="text-muted-foreground">Data folders</dt>
          <dd className="mono wrap-text">{about.data.data_dirs.join('\n')}</dd>
        </dl>
      )}
    </Card>
  )
}
