import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Menu, MenuContent, MenuItem, MenuTrigger } from '@/components/ui/menu'
import { usePausePipeline } from '@/features/pipelines/api'
import { DeletePipelineDialog } from '@/features/pipelines/components/delete-pipeline-dialog'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

type PipelineMenuProps = {
  pipeline: Schemas['PipelineSummary']
  onDeleted?: () => void
}

/** Pause or resume, and delete. */
export function PipelineMenu({ pipeline, onDeleted }: PipelineMenuProps) {
  const [deleting, setDeleting] = useState(false)
  const pause = usePausePipeline(pipeline.id)
  const mayPause = useHasRole('operator')
  const mayDelete = useHasRole('editor')
  if (!mayPause) return null
  return (
    <>
      <Menu>
        <MenuTrigger asChild>
          <Button variant="ghost" size="icon" aria-label={`More about ${pipeline.name}`}>
            <Icon name="more" className="stroke-[3]" />
          </Button>
        </MenuTrigger>
        <MenuContent align="end">
          <MenuItem
            icon={pipeline.enabled ? 'pause' : 'executions'}
            disabled={pause.isPending}
            onSelect={() => pause.mutate(pipeline.enabled ? 'pause' : 'resume')}
          >
            {pipeline.enabled ? 'Pause' : 'Resume'}
          </MenuItem>
          {mayDelete && (
            <MenuItem icon="trash" className="text-state-failed" onSelect={() => setDeleting(true)}>
              Delete…
            </MenuItem>
          )}
        </MenuContent>
      </Menu>
      {deleting && (
        <DeletePipelineDialog
          pipeline={pipeline}
          onClose={() => setDeleting(false)}
          onDeleted={onDeleted}
        />
      )}
    </>
  )
}
