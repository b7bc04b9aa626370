import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { useCancelStage } from '@/features/executions/api'
import type { Schemas } from '@/lib/api'
import { hasEnded } from '@/lib/status'
import { useHasRole } from '@/store/session'

type CancelStageButtonProps = {
  execution: Schemas['ExecutionDetail']
  run: Schemas['StageRunBody']
}

/** Stops one stage or one item, and lets the execution go on. */
export function CancelStageButton({ execution, run }: CancelStageButtonProps) {
  const cancel = useCancelStage(execution.id)
  const mayCancel = useHasRole('operator')
  const over = hasEnded(run.status) || hasEnded(execution.status)
  if (!mayCancel || over || execution.status === 'cancelling') return null
  const cancelling = run.status === 'cancelling'
  return (
    <Button
      variant="danger"
      size="small"
      disabled={cancel.isPending || cancelling}
      onClick={() => cancel.mutate({ stage: run.stage, index: run.index })}
    >
      <Icon name="stop" className="size-3.5" />
      {cancelling ? 'Cancelling…' : 'Cancel only this'}
    </Button>
  )
}
