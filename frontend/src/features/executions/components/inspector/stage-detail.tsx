import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { ErrorPanel } from '@/components/feedback'
import { SkeletonRows } from '@/components/ui/skeleton'
import { stageQuery } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'

type StageDetailProps = {
  executionId: string
  run: Schemas['StageRunBody']
  children: (detail: Schemas['StageRunDetail']) => ReactNode
}

/** Loads what only the opened tab needs of a stage run. */
export function StageDetail({ executionId, run, children }: StageDetailProps) {
  const detail = useQuery(stageQuery(executionId, run))
  if (detail.isPending) return <SkeletonRows rows={5} label="Loading the stage" />
  if (detail.error) {
    return (
      <ErrorPanel error={detail.error} what="The stage" onRetry={() => void detail.refetch()} />
    )
  }
  return children(detail.data)
}
