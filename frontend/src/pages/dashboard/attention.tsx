import { useQuery } from '@tanstack/react-query'
import { executionQuery } from '@/features/executions/api'
import { AttentionCard } from '@/features/executions/components/attention-card'
import { isFailing } from '@/features/pipelines/model'
import type { Schemas } from '@/lib/api'

type AttentionProps = {
  pipelines: Schemas['PipelineSummary'][]
  latest: Schemas['ExecutionSummary'][] | undefined
  now: number
}

/** The newest failure that no later run of its pipeline has made good. */
export function Attention({ pipelines, latest, now }: AttentionProps) {
  const failures = pipelines
    .filter(isFailing)
    .flatMap((pipeline) => pipeline.recent.slice(-1))
    .toSorted((a, b) => b.created_at.localeCompare(a.created_at))
  const [newest] = failures
  const listed = latest?.find((execution) => execution.id === newest?.id)
  // Rarely needed: when so much has run since that the failure is no longer among the latest.
  const fetched = useQuery({
    ...executionQuery(newest?.id ?? ''),
    enabled: newest !== undefined && latest !== undefined && listed === undefined,
  })
  const execution = listed ?? fetched.data
  if (!newest || !execution) return null
  return <AttentionCard execution={execution} others={failures.length - 1} now={now} />
}
