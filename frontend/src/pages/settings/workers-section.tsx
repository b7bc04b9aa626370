import { useQuery } from '@tanstack/react-query'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { queueQuery, workersQuery } from '@/features/workers/api'
import { loadOf } from '@/features/workers/model'
import { QueueTable } from '@/features/workers/queue-table'
import { WorkerTable } from '@/features/workers/worker-table'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import { formatCount } from '@/lib/format'

const CLOCK_MS = 1000

/** Who runs stages, what each runs, and what waits for one of them. */
export function WorkersSection() {
  usePageTitle('Workers')
  return (
    <div className="flex max-w-[900px] flex-col gap-3.5">
      <Workers />
      <Queue />
    </div>
  )
}

function Workers() {
  const now = useNow(CLOCK_MS)
  const workers = useQuery(workersQuery)
  const load = workers.data && loadOf(workers.data)
  return (
    <Card aria-label="Workers">
      <CardHeader title="Workers">
        {load && (
          <span className="text-small text-muted-foreground">
            {formatCount(load.online)} online
            {load.stopping > 0 && ` (${formatCount(load.stopping)} stopping)`},{' '}
            {formatCount(load.busy)} of {formatCount(load.slots)} slots busy
          </span>
        )}
      </CardHeader>
      {workers.isPending && <SkeletonRows rows={3} label="Loading the workers" />}
      {workers.error && !workers.data && (
        <ErrorPanel
          error={workers.error}
          what="The workers"
          onRetry={() => void workers.refetch()}
        />
      )}
      {workers.data?.length === 0 && (
        <EmptyState icon="system" title="There is no worker">
          Executions are accepted, and wait until one is started.
        </EmptyState>
      )}
      {workers.data && workers.data.length > 0 && <WorkerTable workers={workers.data} now={now} />}
    </Card>
  )
}

function Queue() {
  const queue = useQuery(queueQuery)
  return (
    <Card aria-label="Queue">
      <CardHeader title="Queue">
        <span className="text-small text-muted-foreground">
          stages that are ready, by pool; default is what names none
        </span>
      </CardHeader>
      {queue.isPending && <SkeletonRows rows={2} label="Loading the queue" />}
      {queue.error && !queue.data && (
        <ErrorPanel error={queue.error} what="The queue" onRetry={() => void queue.refetch()} />
      )}
      {queue.data && <QueueTable queues={queue.data} />}
    </Card>
  )
}
