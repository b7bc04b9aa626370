import { useQuery } from '@tanstack/react-query'
import { approvalsOfQuery } from '@/features/approvals/api'
import { ApprovalCard } from '@/features/approvals/components/approval-card'
import { useLiveApprovals } from '@/features/approvals/use-live-approvals'
import type { Schemas } from '@/lib/api'

/** The first of the questions that this execution waits for. */
export function OpenApproval({ execution }: { execution: Schemas['ExecutionDetail'] }) {
  useLiveApprovals(`execution:${execution.id}`)
  const waits = execution.stages.some(
    (run) => run.waits_for === 'approval' || (run.type === 'approval' && run.items),
  )
  const approvals = useQuery({
    ...approvalsOfQuery(execution.id),
    enabled: waits && execution.ended_at === null,
  })
  const [first, ...others] = approvals.data ?? []
  if (!waits || !first) return null
  return (
    <ApprovalCard key={`${first.stage} ${first.index}`} approval={first} more={others.length} />
  )
}
