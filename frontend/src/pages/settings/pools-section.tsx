import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { EmptyState, ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { SkeletonRows } from '@/components/ui/skeleton'
import { poolsQuery } from '@/features/pools/api'
import { PoolDialog } from '@/features/pools/pool-dialog'
import { PoolTable } from '@/features/pools/pool-table'
import { usePageTitle } from '@/hooks/use-page-title'
import { useHasRole } from '@/store/session'

/** How many stages that name a pool run at the same time, and who waits. */
export function PoolsSection() {
  usePageTitle('Pools')
  const [adding, setAdding] = useState(false)
  const mayEdit = useHasRole('editor')
  const pools = useQuery(poolsQuery)
  const add = mayEdit && (
    <Button size="small" onClick={() => setAdding(true)}>
      <Icon name="plus" className="size-3.5" />
      New pool
    </Button>
  )
  return (
    <Card aria-label="Pools" className="max-w-[900px]">
      <CardHeader title="Pools" end={add}>
        <span className="text-small text-muted-foreground">
          limit how many stages that name one run at the same time
        </span>
      </CardHeader>
      {pools.isPending && <SkeletonRows rows={4} label="Loading the pools" />}
      {pools.error && !pools.data && (
        <ErrorPanel error={pools.error} what="The pools" onRetry={() => void pools.refetch()} />
      )}
      {pools.data?.length === 0 && (
        <EmptyState icon="pipelines" title="There is no pool" action={add}>
          A stage names one as pool: cpu_heavy; stages of all pipelines that do share its slots.
        </EmptyState>
      )}
      {pools.data && pools.data.length > 0 && <PoolTable pools={pools.data} />}
      <PoolDialog open={adding} onClose={() => setAdding(false)} />
    </Card>
  )
}
