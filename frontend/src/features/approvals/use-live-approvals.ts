import { approvalKeys } from '@/features/approvals/api'
import { useLiveRefresh } from '@/hooks/use-live-refresh'
import type { Room } from '@/lib/live'
import { executionStatusAfter, isAboutApproval, type LiveEvent } from '@/lib/live-events'
import { hasEnded } from '@/lib/status'

const REFRESH_MS = 1000

/** Keep what waits for a decision fresh while the page hears of `room`. */
export function useLiveApprovals(room: Room): void {
  useLiveRefresh(room, [approvalKeys.all], REFRESH_MS, concerns)
}

/** The questions of an execution that ends are asked no longer. */
function concerns(event: LiveEvent): boolean {
  const status = executionStatusAfter(event)
  return isAboutApproval(event) || (status !== null && hasEnded(status))
}
