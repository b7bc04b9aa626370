import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { maintenanceQuery } from '@/features/maintenance/api'
import { WindowDialog } from '@/features/maintenance/window-dialog'
import { WindowTable } from '@/features/maintenance/window-table'
import { pipelinesQuery } from '@/features/pipelines/api'
import { useNow } from '@/hooks/use-now'
import { usePageTitle } from '@/hooks/use-page-title'
import { useHasRole } from '@/store/session'

const CLOCK_MS = 10_000

/** Times in which what happens is no insight: what runs now, what comes, what is over. */
export function MaintenanceSection() {
  usePageTitle('Maintenance')
  const [planning, setPlanning] = useState(false)
  const mayPlan = useHasRole('operator')
  const now = useNow(CLOCK_MS)
  const windows = useQuery(maintenanceQuery)
  const pipelines = useQuery(pipelinesQuery)
  const plan = mayPlan && (
    <Button size="small" onClick={() => setPlanning(true)}>
      <Icon name="plus" className="size-3.5" />
      Plan maintenance
    </Button>
  )
  return (
    <Card aria-label="Maintenance" className="max-w-[1080px]">
      <CardHeader title="Maintenance" end={plan}>
        <span className="text-small text-muted-foreground">what happens then is no insight</span>
      </CardHeader>
      {windows.isPending && <SkeletonRows rows={4} label="Loading the times of maintenance" />}
      {windows.error && !windows.data && (
        <ErrorPanel
          error={windows.error}
          what="The times of maintenance"
          onRetry={() => void windows.refetch()}
        />
      )}
      {windows.data?.length === 0 && (
        <EmptyState icon="clock" title="No maintenance is planned" action={plan}>
          Work on a pipeline or on what it reads makes runs slow or lets them fail. Say when, also
          afterwards: it raises no insights, and later runs are not compared with it.
        </EmptyState>
      )}
      {windows.data && windows.data.length > 0 && (
        <WindowTable
          windows={windows.data}
          now={Math.max(now, windows.dataUpdatedAt)}
          names={new Map(pipelines.data?.map(({ id, name }) => [id, name]))}
        />
      )}
      <WindowDialog
        open={planning}
        onClose={() => setPlanning(false)}
        pipelines={pipelines.data ?? []}
      />
    </Card>
  )
}
