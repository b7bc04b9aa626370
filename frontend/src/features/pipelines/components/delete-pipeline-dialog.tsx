import { useQuery } from '@tanstack/react-query'
import { ErrorPanel } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { underWayQuery, useCancelAllOf, useDeletePipeline } from '@/features/pipelines/api'
import type { Schemas } from '@/lib/api'
import { formatCount, plural } from '@/lib/format'
import { toast } from '@/store/toasts'

type DeletePipelineDialogProps = {
  pipeline: Schemas['PipelineSummary']
  onClose: () => void
  onDeleted?: (() => void) | undefined
}

/** While executions run they are told to stop here, one ends after the other. */
const COUNT_EVERY_MS = 1500

/** What goes and what stays; a pipeline with executions under way is not deleted. */
export function DeletePipelineDialog({ pipeline, onClose, onDeleted }: DeletePipelineDialogProps) {
  const underWay = useQuery({ ...underWayQuery(pipeline.id), refetchInterval: COUNT_EVERY_MS })
  const cancel = useCancelAllOf(pipeline.id)
  const remove = useDeletePipeline(pipeline.id)
  const running = underWay.data
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Delete ${pipeline.name}?`}
      action="Delete the pipeline"
      danger
      disabled={running !== 0 || remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, {
          onSuccess: () => {
            toast('success', `${pipeline.name} is deleted.`)
            onClose()
            onDeleted?.()
          },
        })
      }
    >
      <p>
        It cannot be started any more, by hand or by a trigger, and there is no way back. Its{' '}
        {plural(pipeline.version, 'version')} and its executions stay readable at their addresses.
      </p>
      {underWay.error && (
        <ErrorPanel
          error={underWay.error}
          what="The executions under way"
          onRetry={() => void underWay.refetch()}
        />
      )}
      <div role="status">
        {running === 0 && <p>No execution of it is under way.</p>}
        {running !== undefined && running > 0 && (
          <div className="rounded-md bg-state-retrying-tint px-3 py-2 text-state-retrying">
            <p className="mb-2 flex gap-2">
              <Icon name="warning" className="mt-0.5" />
              <span>
                {plural(running, 'execution is', 'executions are')} under way. It can be deleted
                once
                {running === 1 ? ' it has' : ' they have'} ended: wait, or cancel{' '}
                {running === 1 ? 'it' : 'them'}.
              </span>
            </p>
            <Button
              size="small"
              variant="danger"
              disabled={cancel.isPending}
              onClick={() => cancel.mutate()}
            >
              <Icon name="stop" className="size-3.5" />
              {running === 1 ? 'Cancel it' : `Cancel all ${formatCount(running)}`}
            </Button>
          </div>
        )}
      </div>
    </ConfirmDialog>
  )
}
