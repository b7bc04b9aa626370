import { useState } from 'react'
import { explain } from '@/components/feedback'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Switch } from '@/components/ui/switch'
import { Table, Td, Th, Tr } from '@/components/ui/table'
import { type Project, useSetProject } from '@/features/assistant/api'
import type { Schemas } from '@/lib/api'
import { formatCount, formatMoment } from '@/lib/format'
import { useHasRole } from '@/store/session'
import { toast } from '@/store/toasts'

type ProjectTableProps = {
  projects: Project[]
  /** Whom the server would ask; nobody where it is not set up. */
  assistant: Schemas['AssistantBody']
}

/** For whose pipelines the server learns, and who may ask the assistant. */
export function ProjectTable({ projects, assistant }: ProjectTableProps) {
  const [asked, setAsked] = useState<Project | null>(null)
  const mayEdit = useHasRole('admin')
  const set = useSetProject()
  const change = (body: Schemas['ProjectRequest'], done?: () => void) =>
    set.mutate(body, {
      onSuccess: done,
      onError: (error) => toast('failed', explain(error)),
    })
  return (
    <>
      <Table>
        <thead>
          <tr>
            <Th>Project</Th>
            <Th>Pipelines</Th>
            <Th>Learning</Th>
            <Th>Assistant</Th>
            <Th className="max-tablet:hidden">Changed</Th>
          </tr>
        </thead>
        <tbody>
          {projects.map((project) => (
            <Tr key={project.name}>
              <Td className="mono wrap-text font-medium">{project.name}</Td>
              <Td>{formatCount(project.pipelines)}</Td>
              <Td>
                <OnOff
                  label={`Learning for ${project.name}`}
                  on={project.learning}
                  onChange={
                    mayEdit ? (learning) => change({ name: project.name, learning }) : undefined
                  }
                />
              </Td>
              <Td>
                <OnOff
                  label={`Assistant for ${project.name}`}
                  on={project.assistant}
                  disabled={assistant.host === null && !project.assistant}
                  onChange={
                    mayEdit
                      ? (on) =>
                          on ? setAsked(project) : change({ name: project.name, assistant: false })
                      : undefined
                  }
                />
              </Td>
              <Td className="text-small text-muted-foreground max-tablet:hidden">
                {project.changed_at
                  ? `${formatMoment(project.changed_at)}, ${project.changed_by ?? 'somebody'}`
                  : 'never'}
              </Td>
            </Tr>
          ))}
        </tbody>
      </Table>
      {asked && (
        <ConfirmDialog
          open
          onOpenChange={() => setAsked(null)}
          title={`Switch the assistant on for ${asked.name}?`}
          action="Switch it on"
          disabled={set.isPending}
          onConfirm={() => change({ name: asked.name, assistant: true }, () => setAsked(null))}
        >
          <p>
            Whoever may run its pipelines can then send the error, the definition and the last log
            lines of a failed stage to <span className="mono">{assistant.host}</span>; whoever may
            edit them can send definitions. Only when they ask, and without what looks like secrets
            or personal data.
          </p>
        </ConfirmDialog>
      )}
    </>
  )
}

type OnOffProps = {
  label: string
  on: boolean
  disabled?: boolean
  onChange?: ((on: boolean) => void) | undefined
}

function OnOff({ label, on, disabled = false, onChange }: OnOffProps) {
  if (!onChange) return on ? 'on' : 'off'
  return <Switch label={label} checked={on} disabled={disabled} onChange={onChange} />
}
